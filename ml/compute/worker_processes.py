"""Processes of this machine that compute one task at a time, for functions that must not run twice in a process.

Here: starting them, giving them tasks, and what a lost one costs. Not here: what they do (`ml.compute.worker`), or who
needs them (`ml.compute.backend`).

Concept: a thread takes a process, sends it a task, waits for the result and gives the process back. So it is known
which task a lost process had: that one is given to another process. A process is a new program, not a fork (this one
has threads) and without this one's main module. It ends when nobody has work for it, and with this process, however
that ends: its connection is closed then.
"""

from __future__ import annotations

import atexit
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from ml.compute.tasks import Raised, Result, Task

TRIES = 3
"""Processes that may be lost at a task before it is given up."""

ENDING_S = 5.0
"""Seconds that a process whose connection is closed may take to end: then its exit code is its own."""


class WorkerLostError(RuntimeError):
    """A task ended each of the processes that computed it."""


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection

    @classmethod
    def start(cls) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            # What this process can import, its workers can: functions are found by the name of their module.
            paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
            process = subprocess.Popen(
                [sys.executable, "-m", "ml.compute.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C is for the process that gives out the work.
                start_new_session=True,
            )
        # One that ends by itself is not to stay in the list of processes until somebody asks for it.
        threading.Thread(target=process.wait, daemon=True).start()
        return cls(process, Connection(ours.detach()))

    def end(self, patience_s: float = 0) -> int:
        """End it, if it has not ended by itself after some seconds; returns its exit code."""
        with suppress(OSError):
            self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(patience_s)
        self.process.kill()
        return self.process.wait()


class Processes:
    """Worker processes, started as they are needed.

    Args:
        most: Processes at a time.
    """

    def __init__(self, most: int) -> None:
        self._room = threading.Semaphore(most)
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._tasks = 0
        atexit.register(self.end)

    def announce(self, tasks: int) -> int:
        """Count tasks that are to come; returns how many there have been so far."""
        self._tasks += tasks
        return self._tasks

    def call(self, function: Callable[[Task], Result], task: Task) -> Result:
        """What the function returns for the task, computed in a process; raises what it raises there.

        Raises:
            WorkerLostError: Each process that computed it was killed.
        """
        ended: list[int] = []
        with self._room:
            while len(ended) < TRIES:
                worker, is_new = self._take()
                try:
                    worker.connection.send((function, task))
                    result = worker.connection.recv()
                except (EOFError, OSError):
                    code = worker.end(ENDING_S)
                    if is_new:  # one that was idle may have ended by itself
                        ended.append(code)
                    continue
                except BaseException:
                    worker.end()
                    raise
                self._idle.put(worker)
                if isinstance(result, Raised):
                    raise result.error
                return result
        raise WorkerLostError(
            f"expected a result, found that {TRIES} processes ended while they computed it (exit codes "
            f"{', '.join(map(str, ended))}; -9: killed, often for want of memory)"
        )

    def end(self) -> None:
        """End the processes that are idle."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().end()

    def _take(self) -> tuple[_Worker, bool]:
        try:
            return self._idle.get_nowait(), False
        except queue.Empty:
            return _Worker.start(), True


@cache
def processes(most: int) -> Processes:
    """The processes of this machine that are shared by all who use as many."""
    return Processes(most)
