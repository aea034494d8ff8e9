"""Where fits run.

Here: the one interface through which work on many collections fans out, and its local form. Not here: the
work, or the processes that some of it needs (`ml.compute.worker_processes`).

Concept: numpy and compiled code release the GIL, so threads use all cores without copying a byte. CatBoost's training
must not run twice at a time in a process (docs/adr/0071-one-training-in-a-process.md): a thread that is given such a
function has it computed by a process of its own. A task carries everything it needs as arrays and its function is
module-level, so that threads, processes and a cluster are the same code with another setting.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ml.compute.tasks import Raised, Result, Task
from ml.compute.worker_processes import processes

WORTH_PROCESSES = 40
"""Tasks from which on processes are started for them: one takes a second to start, a task some 50 ms."""


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
    """Threads of this process, and as many further processes for functions that are `one_in_a_process`.

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
        if self.workers > 1 and getattr(function, "one_in_a_process", False):
            source, others = iter(tasks), processes(self.workers)
            first = list(itertools.islice(source, min(most, WORTH_PROCESSES)))
            if others.announce(len(first)) >= WORTH_PROCESSES:
                function = partial(others.call, function)
            tasks = itertools.chain(first, source)
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
