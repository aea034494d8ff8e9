"""How full a process is: how late its event loop is, and how many requests wait for a thread.

Here: measuring once a second. Not here: what is done about it.

Concept: a request that waits is not seen by what answers requests. What can be seen from inside is how late a task
runs that was due, which is how long a request waits for its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from anyio.to_thread import current_default_thread_limiter
from prometheus_client import CollectorRegistry, Gauge

EVERY_S = 1.0


class Saturation:
    """Gauges about one process, kept up to date by `watch`.

    Args:
        registry: Where they are shown; None when files are shared.

    Attributes:
        measured_at: When the event loop last ran the task, seconds of `time.monotonic`.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._late = Gauge(
            "assay_http_loop_delay_seconds",
            "Longest that a task waited for its turn in the last 15 s; so long does a request wait.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._busy = Gauge(
            "assay_http_threads_busy",
            "Threads that read many rows.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "assay_http_requests_queued",
            "Requests that wait for such a thread.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        for one in (self._late, self._busy, self._waiting):
            one.set(0)
        self._delays: list[float] = []
        self.measured_at = time.monotonic()

    async def watch(self, each: Callable[[], None]) -> None:
        """Measure once a second, until cancelled.

        Args:
            each: Called each time: what else is done once a second.
        """
        limiter = current_default_thread_limiter()
        while True:
            due = time.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.measured_at = time.monotonic()
            self._delays = [*self._delays[-14:], max(0.0, self.measured_at - due)]
            self._late.set(max(self._delays))
            statistics = limiter.statistics()
            self._busy.set(statistics.borrowed_tokens)
            self._waiting.set(statistics.tasks_waiting)
            each()
