"""Starting the API: granian, with one process or several that share the port.

Here: the server and what a worker process makes. Not here: the application (`app`), or reading settings.

Measured under load granian answers with a third of uvicorn's 99th percentile ([ADR 34](docs/adr/0034-api.md)).
"""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

from lake.child_processes import end_with_parent
from serving.api.config import ApiConfig

if TYPE_CHECKING:
    from serving.api.gate import Application

CONFIG_VARIABLE = "SERVING_API_CONFIG"
"""Environment variable by which a worker process gets its settings."""

WORKERS = "workers"
"""Folder, beside the keys, of what several workers count together."""

HEADER_LIMIT_BYTES = 128 * 1024
"""Of a request's line and headers: a name of 10 kB is three times as long percent-encoded."""


def run(config: ApiConfig) -> None:
    """Serve until the process is stopped (SIGINT or SIGTERM)."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    from serving.metrics.request_log import FILE, RequestLog, Server
    from serving.metrics.worker import announce
    from serving.metrics.worker_folder import WorkerFolder

    os.environ[CONFIG_VARIABLE] = config.to_json()
    server = Server(f"{os.getpid()}-{time.time_ns()}", f"{config.host}:{config.port}", time.time())
    folder = WorkerFolder.make(config.keys / WORKERS, config.workers) if config.workers > 1 else None
    announce(server, folder)
    Granian(
        "serving.api.server:make_application",
        address=config.host,
        port=config.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        workers=config.workers,
        factory=True,
        websockets=False,
        log_level="warning",  # type: ignore[arg-type]
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=HEADER_LIMIT_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    ).serve()
    RequestLog(config.keys / FILE).stop(server, time.time())
    if folder is not None:
        folder.remove()


def make_application() -> Application:
    """The application of a worker process."""
    from serving.api.app import build_app
    from serving.metrics.worker import this_worker

    end_with_parent()  # nothing may keep the port when the server was killed
    app = build_app(ApiConfig.from_json(os.environ[CONFIG_VARIABLE]), worker=this_worker())
    # What is loaded now stays until the end: Python's collector would go through all of it again and again, and the
    # requests of those milliseconds would wait.
    gc.collect()
    gc.freeze()
    return app
