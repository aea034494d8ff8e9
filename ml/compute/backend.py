"""Where fits run.

Here: the one interface through which work on many collections fans out, and its local form. Not here: the
work.

Concept: CatBoost and numpy release the GIL while they compute, so threads with one CatBoost thread each use
all cores without copying a byte between processes. A task carries everything it needs as arrays and its
function is module-level, so that a backend of processes or a cluster is the same code with another setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Raised:
    """What a task ended with when it did not end well.

    Attributes:
        error: The exception.
    """

    error: BaseException


class Backend(Protocol):
    """Runs one function over many tasks."""

    @property
    def slots(self) -> int:
        """Tasks that run at a time."""
        ...

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int | None = None
    ) -> Iterator[tuple[Task, Result | Raised]]:
        """Yield each task with its result as it finishes, in any order, in the caller's thread.

        `tasks` is consumed lazily in the caller's thread, so reading the next ones overlaps with running
        these.

        Args:
            function: Named by its module, so that another process finds it; it changes nothing of its task.
            tasks: What it is called with. Whoever stops reading ends the work on them.
            ahead: Tasks read before there is room for them, at most; the backend's own number when None. Fewer where
                tasks are large.
        """
        ...


@dataclass(frozen=True)
class ThreadBackend:
    """Threads of this process.

    Attributes:
        workers: Tasks at a time.
        ahead: Tasks kept waiting for a free thread, so that reading more never starves the threads.
    """

    workers: int = 2
    ahead: int = 64

    @property
    def slots(self) -> int:
        """See `Backend.slots`."""
        return self.workers

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int | None = None
    ) -> Iterator[tuple[Task, Result | Raised]]:
        """See `Backend.run`."""
        most = self.workers + (self.ahead if ahead is None else ahead)
        running: dict[Future[Result], Task] = {}
        with ThreadPoolExecutor(self.workers, thread_name_prefix="fit") as pool:
            try:
                for task in tasks:
                    running[pool.submit(function, task)] = task
                    while len(running) >= most:
                        yield from _finished(running)
                while running:
                    yield from _finished(running)
            finally:
                for future in running:
                    future.cancel()


def _finished(running: dict[Future[Result], Task]) -> Iterator[tuple[Task, Result | Raised]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        task = running.pop(future)
        error = future.exception()
        yield task, Raised(error) if error is not None else future.result()
