"""Work on a Ray cluster: the same tasks as on threads, in processes of one machine or of many.

Here: chunks of tasks, what is tried again, and what a lost machine costs. Not here: the tasks, or which backend a
setting asks for (`orchestration.compute`).

Concept: a remote call costs milliseconds and sends arrays, so it carries a chunk of tasks. Tasks come largest first and
are dealt to the chunks of a round one by one, so that chunks cost about the same. Ray runs the chunk of a lost machine
or a killed worker again, so a task may run twice; its result is given once, and whatever a task stores is named by its
content. A chunk that kills each of its workers is taken apart: one bad task must not take the others with it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ml.compute.tasks import Raised, Result, Task, outcome_of, portable

PATIENCE_S = 5.0
"""Seconds to wait for the cluster's port."""


class ClusterError(RuntimeError):
    """There is no Ray cluster to work on."""


@dataclass(frozen=True)
class RayBackend:
    """Workers of a Ray cluster. All its machines need Assay installed, and the home at the same path.

    Attributes:
        address: Host and port of the cluster's head; empty starts a cluster on this machine, which ends with this
            process.
        workers: Chunks at a time; also the processes of a cluster that is started here. None: one for each CPU.
        chunk: Tasks in a remote call.
        tries: How often a chunk whose worker or machine was lost is run again, before it is taken apart.
    """

    address: str = ""
    workers: int | None = None
    chunk: int = 20
    tries: int = 2

    @property
    def slots(self) -> int:
        """See `Backend.slots`. Joins the cluster.

        Raises:
            ClusterError: As `run`.
        """
        ray = _connected(self.address, self.workers)
        return self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int | None = None
    ) -> Iterator[tuple[Task, Result | Raised]]:
        """See `Backend.run`. Whoever stops reading ends the remote work.

        Raises:
            ClusterError: There is no cluster at the address, or it was lost.
        """
        ray = _connected(self.address, self.workers)
        workers = self.slots
        call = ray.remote(_run_chunk).options(max_retries=self.tries, num_cpus=1)
        head = ray.get_runtime_context().gcs_address
        running: dict[Any, list[Task]] = {}
        in_a_round = workers * self.chunk if ahead is None else min(workers * self.chunk, max(workers, ahead))

        def start(chunk: list[Task]) -> None:
            running[call.remote(function, chunk)] = chunk

        source = iter(tasks)
        try:
            while dealt := list(islice(source, in_a_round)):
                for first in range(min(workers, len(dealt))):
                    start(dealt[first::workers])
                while len(running) > workers:
                    yield from _finished(ray, head, running, start)
            while running:
                yield from _finished(ray, head, running, start)
        except ClusterError:
            running.clear()  # nobody is there to cancel anything
            ray.shutdown()
            raise
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _finished(
    ray: Any, head: str, running: dict[Any, list[Task]], start: Callable[[list[Task]], None]
) -> Iterator[tuple[Task, Any]]:
    """The tasks of the chunks that are done; waits for the first."""
    done: Sequence[Any] = []
    while not done:
        # In steps, so that a signal to this process is seen, and a head that is gone: after a minute without it Ray
        # would end this process without a word.
        done, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        if not done:
            _require_port(head)
    for reference in done:
        chunk = running.pop(reference)
        try:
            results = ray.get(reference)
        except ray.exceptions.RayError as error:
            # Its workers were killed, ran out of memory or were on machines that were lost, each time.
            if len(chunk) > 1:
                for task in chunk:
                    start([task])
                continue
            results = [Raised(portable(error))]
        yield from zip(chunk, results, strict=True)


def _run_chunk(function: Callable[[Any], Any], tasks: list[Any]) -> list[Any]:
    """In a worker: the result of each task, or what it raised."""
    return [outcome_of(function, task) for task in tasks]


def _connected(address: str, workers: int | None) -> Any:
    """Ray, joined to the cluster; once per process.

    Raises:
        ClusterError: Nothing answers at the address, or the cluster there is of another version.
    """
    # Ray would report its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return ray
    if address:
        _require_port(address)
    ours = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    try:
        quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if address:
            ray.init(address, **quiet)
        else:
            # Reachable from this machine only: whoever can reach a cluster can run code in it.
            ours_only: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
            ray.init("local", num_cpus=workers, **ours_only, **quiet)
    except (RuntimeError, ConnectionError, ValueError) as error:
        raise ClusterError(
            f"expected a Ray cluster at {address or 'this machine'}, found: {error}; correct ASSAY_RAY_ADDRESS, or "
            "work without it, ASSAY_COMPUTE=threads"
        ) from error
    finally:
        if ours is not None:
            signal.signal(signal.SIGTERM, ours)  # Ray puts its own in its place
    return ray


def _require_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(
            f"expected a Ray cluster at {address}, found: {error}; start one with `ray start --head --port=6379`, "
            "correct ASSAY_RAY_ADDRESS (host:port), or work without it, ASSAY_COMPUTE=threads"
        ) from error
