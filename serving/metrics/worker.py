"""Who this process is: a worker of a server, or an application on its own.

Here: what the server says to its workers, by environment variables. Not here: starting either (`serving.api.server`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from serving.metrics.request_log import Server
from serving.metrics.requests import share_files
from serving.metrics.worker_folder import WorkerFolder

SERVER_VARIABLE = "SERVING_API_SERVER"
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client, too."""


@dataclass(frozen=True)
class Worker:
    """A process that answers.

    Attributes:
        number: From 1; kept by the process that replaces it.
        server: Its server; None: an application without one, which keeps no request log.
        folder: Where the metrics of several workers are; None: it is the only one.
    """

    number: int = 1
    server: Server | None = None
    folder: WorkerFolder | None = None

    def processes(self) -> dict[str, int]:
        """Process ids by name: server, worker-1 …, and explainer-1 … for those that compute reasons."""
        found: dict[str, int] = {}
        if self.server is not None:
            found["server"] = os.getppid()
        workers = {self.number: os.getpid()} if self.folder is None else self.folder.living()
        for number, pid in workers.items():
            found[f"worker-{number}"] = pid
            try:
                children = psutil.Process(pid).children()
            except psutil.Error:
                continue
            if children:
                found[f"explainer-{number}"] = children[0].pid
        return found


def announce(server: Server, folder: WorkerFolder | None) -> None:
    """For the processes that this one starts."""
    message = {"server": asdict(server), "workers": 1 if folder is None else folder.workers}
    os.environ[SERVER_VARIABLE] = json.dumps(message)
    if folder is None:
        os.environ.pop(FOLDER_VARIABLE, None)
    else:
        os.environ[FOLDER_VARIABLE] = str(folder.path)


def this_worker() -> Worker:
    """This process, as its server has said; before any metric is made."""
    message = json.loads(os.environ[SERVER_VARIABLE])
    server = Server(**message["server"])
    if message["workers"] == 1:
        return Worker(1, server)
    folder = WorkerFolder(Path(os.environ[FOLDER_VARIABLE]), message["workers"])
    number = folder.claim()
    share_files(number)
    return Worker(number, server, folder)
