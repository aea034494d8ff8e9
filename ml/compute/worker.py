"""A process that computes tasks for another one: `python -m ml.compute.worker DESCRIPTOR`.

Here: receiving, computing, answering, ending. Not here: who starts it (`ml.compute.worker_processes`).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from ml.compute.tasks import Raised, outcome_of, portable

IDLE_S = 20.0
"""Seconds without a task after which it ends."""


def main(descriptor: int) -> None:
    """Compute what arrives at the connection, until nothing does."""
    connection = Connection(descriptor)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    while True:
        try:
            received = inbox.get(timeout=IDLE_S)
        except queue.Empty:
            return
        connection.send(received if isinstance(received, Raised) else outcome_of(*received))


def _receive(connection: Connection, inbox: queue.SimpleQueue[Any]) -> None:
    """Read tasks while one is computed, so that the end of the other process is seen at once, and ends this one."""
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)
        except Exception as error:  # noqa: BLE001 - a task that cannot be read is answered with the reason
            inbox.put(Raised(portable(error)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
