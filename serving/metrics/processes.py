"""CPU, memory and files of the server's processes.

Here: reading them with psutil. Not here: which processes there are (`worker_folder`).

Concept: with several workers the standard process metrics are lost: their files hold sums over processes, and a process
that answers knows only itself. So whichever worker answers reads all of them from the operating system. They are named
by their number, so that a replaced worker is no new series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving.metrics.families import Row, counters, gauges


class ProcessesCollector(Collector):
    """Numbers of processes, read whenever Prometheus asks.

    Args:
        processes: Gives process ids by the name they are shown under, such as server, worker-1 and explainer.
    """

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """All of them; a process that ended meanwhile is left out."""
        cpu: list[Row] = []
        resident: list[Row] = []
        files: list[Row] = []
        threads: list[Row] = []
        started: list[Row] = []
        for name, pid in self._processes().items():
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    rows = (
                        times.user + times.system,
                        process.memory_info().rss,
                        process.num_fds(),
                        process.num_threads(),
                        process.create_time(),
                    )
            except psutil.Error:
                continue
            for series, value in zip((cpu, resident, files, threads, started), rows, strict=True):
                series.append(((name,), value))
        label = ["process"]
        yield counters("assay_api_process_cpu_seconds", "CPU seconds, user and system.", label, cpu)
        yield gauges(
            "assay_api_process_resident_memory_bytes", "Memory, shared pages included.", label, resident
        )
        yield gauges("assay_api_process_open_fds", "Open files and connections.", label, files)
        yield gauges("assay_api_process_threads", "Threads.", label, threads)
        yield gauges("assay_api_process_start_time_seconds", "When it began.", label, started)
