"""All metrics of the API as Prometheus reads them, and what runs beside the requests to measure.

Here: putting the parts together, for one process or several. Not here: the parts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.metrics.machine import MachineCollector
from serving.metrics.processes import ProcessesCollector
from serving.metrics.request_log import FILE, HUNG_AFTER_S, Recorder, RequestLog
from serving.metrics.requests import RequestMetrics
from serving.metrics.saturation import Saturation
from serving.metrics.store import Served, StoreCollector
from serving.metrics.worker import Worker


class Metrics:
    """The metrics of one API.

    Args:
        store: Whose state is shown.
        folder: Where the server keeps what is its own; the request log is written there.
        worker: Which process this is.
        clock: Seconds since 1970.

    Attributes:
        requests: Counts requests.
    """

    def __init__(
        self,
        store: Served,
        folder: Path,
        worker: Worker | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._worker, self._clock = worker or Worker(), clock
        self._log = RequestLog(folder / FILE)
        self._shown = CollectorRegistry()
        shared = self._worker.folder
        own = self._shown if shared is None else None
        self.requests = RequestMetrics(own)
        self._saturation = Saturation(own)
        if shared is None:
            ProcessCollector(registry=self._shown)
        else:
            MultiProcessCollector(self._shown, str(shared.path))
        self._shown.register(ProcessesCollector(self._worker.processes))
        self._shown.register(MachineCollector(folder))
        self._shown.register(StoreCollector(store, clock))

    def text(self) -> bytes:
        """All of them."""
        self.requests.count()
        return generate_latest(self._shown)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the application runs: watch the event loop, and write the request log."""
        watching = asyncio.create_task(self._saturation.watch(self.requests.count))
        recorder = None
        if self._worker.server is not None:
            recorder = Recorder(
                self._log,
                self._worker.server,
                self._worker.number,
                self.requests,
                self._is_alive,
                self._clock,
            )
            recorder.start()
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            if recorder is not None:
                recorder.stop()

    def _is_alive(self) -> bool:
        return time.monotonic() - self._saturation.measured_at < HUNG_AFTER_S
