"""Which processes answer: a folder per server, in it a number for each of its workers.

Here: making the folder, removing those of servers that are gone, taking a number. Not here: the metrics in its files.

Concept: locks of the operating system say who lives. A server holds the lock of its folder, a worker that of its
number; both end with their process, however it ends. So a folder whose lock is free is removed, and the worker that
replaces another takes the free number and goes on with its files.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

_SERVER_LOCK = "server.lock"
CLAIM_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class WorkerFolder:
    """The folder of one server.

    Attributes:
        path: Where.
        workers: Processes that answer; their numbers are 1 to this.
    """

    path: Path
    workers: int

    @classmethod
    def make(cls, parent: Path, workers: int) -> WorkerFolder:
        """A new folder for this process, the server; folders of servers that are gone are removed.

        The lock is held until this process and the workers that it has forked have ended.
        """
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in parent.iterdir():
            lock = _taken(folder / _SERVER_LOCK) if (folder / _SERVER_LOCK).exists() else None
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
        made = parent / f"{os.getpid()}-{time.time_ns()}"
        made.mkdir(mode=0o700)
        _taken(made / _SERVER_LOCK)
        return cls(made, workers)

    def claim(self) -> int:
        """The number of this process, from 1. Its file says which process has it.

        Raises:
            RuntimeError: All numbers are taken.
        """
        until = time.monotonic() + CLAIM_TIMEOUT_S
        while time.monotonic() < until:
            for number in range(1, self.workers + 1):
                lock = _taken(self._lock(number))
                if lock is not None:
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, str(os.getpid()).encode(), 0)
                    return number
            # The worker that this one replaces may be ending.
            time.sleep(0.05)
        raise RuntimeError(
            f"expected one of {self.workers} worker numbers free, found all taken; restart the server"
        )

    def living(self) -> dict[int, int]:
        """Process id by number; what dead workers had under way is forgotten."""
        found = {}
        for number in range(1, self.workers + 1):
            path = self._lock(number)
            if not path.exists():
                continue
            lock = _taken(path)
            if lock is None:
                text = path.read_text()
                if text:
                    found[number] = int(text)
            else:
                mark_process_dead(number, str(self.path))
                os.close(lock)
        return found

    def remove(self) -> None:
        """Remove it: the server has ended."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _lock(self, number: int) -> Path:
        return self.path / f"worker-{number}.lock"


def _taken(path: Path) -> int | None:
    """The descriptor of a lock that is now this process's; None: another has it.

    Never unlocked, only closed: an unlock in a forked process would free the lock of its parent.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
