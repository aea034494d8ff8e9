"""A real server in a process of its own, for as long as a test needs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from serving.api.config import ApiConfig

START = """
import sys
from serving.api.config import ApiConfig
from serving.api.server import run
run(ApiConfig.from_json(sys.argv[1]))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[tuple[httpx.Client, subprocess.Popen]]:
    config = ApiConfig(folder, folder.parent / "api", port=free_port(), **{"anonymous_limit": "", **settings})
    process = subprocess.Popen([sys.executable, "-c", START, config.to_json()], stderr=subprocess.PIPE)
    client = httpx.Client(base_url=f"http://127.0.0.1:{config.port}", timeout=30)
    try:
        for _ in range(600):
            try:
                client.get("/healthz")
                break
            except httpx.TransportError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
        yield client, process
    finally:
        client.close()
        process.terminate()
        process.wait(20)
