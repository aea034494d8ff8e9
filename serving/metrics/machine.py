"""CPU, memory, disk and network of the machine. Here: reading them with psutil. Not here: single processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving.metrics.families import counters, gauge, gauges

_MODES = ("user", "system", "idle", "iowait", "steal")


class MachineCollector(Collector):
    """Numbers of the machine, read whenever Prometheus asks.

    Args:
        folder: Whose disk is shown; the nearest folder above it that exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        cpu = psutil.cpu_times()
        yield counters(
            "assay_machine_cpu_seconds",
            "CPU seconds of all cores by mode.",
            ["mode"],
            [((mode,), getattr(cpu, mode, None)) for mode in _MODES],
        )
        yield gauge("assay_machine_cpus", "Cores.", psutil.cpu_count() or 1)
        memory = psutil.virtual_memory()
        yield gauge("assay_machine_memory_bytes", "Memory.", memory.total)
        yield gauge(
            "assay_machine_memory_available_bytes",
            "Memory that can be had without swapping.",
            memory.available,
        )
        folder = next(path for path in (self._folder, *self._folder.absolute().parents) if path.exists())
        disk = psutil.disk_usage(str(folder))
        yield gauge("assay_machine_disk_bytes", "Size of the disk of the home.", disk.total)
        yield gauge("assay_machine_disk_free_bytes", "Free bytes of the disk of the home.", disk.free)
        moved = psutil.disk_io_counters()
        if moved is not None:
            yield counters(
                "assay_machine_disk_io_bytes",
                "Bytes read from and written to all disks.",
                ["direction"],
                [(("read",), moved.read_bytes), (("written",), moved.write_bytes)],
            )
        network = psutil.net_io_counters()
        if network is not None:
            yield counters(
                "assay_machine_network_bytes",
                "Bytes received and sent by all network interfaces.",
                ["direction"],
                [(("received",), network.bytes_recv), (("sent",), network.bytes_sent)],
            )
            yield counters(
                "assay_machine_network_dropped",
                "Packets dropped by all network interfaces.",
                ["direction"],
                [(("received",), network.dropin), (("sent",), network.dropout)],
            )
        yield gauges(
            "assay_machine_load", "Load average.", ["minutes"],
            [((minutes,), load) for minutes, load in zip(("1", "5", "15"), psutil.getloadavg(), strict=True)],
        )  # fmt: skip
