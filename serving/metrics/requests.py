"""Counters of requests, in the memory of one process or in files that several share.

Here: their names, and counting. Not here: showing them (`exposition`), keeping them by minute (`request_log`).

Concept: labels are templates of routes, methods and status codes: there are some dozens of them, whatever is asked.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds, seconds. Those of `LOGGED` are among them."""

LOGGED = (0.01, 0.1, 1.0)
"""Bounds that the request log keeps: within 10 ms, 100 ms and 1 s."""

COUNTED_AT_ONCE = 100
"""Requests that are counted together: one by one, each would fetch the counters' code and data anew."""

REFUSED = "refused"
"""Route of requests that the gate did not let in."""


@dataclass
class RouteTotals:
    """Requests of one route since the process began.

    Attributes:
        requests: All that were answered.
        errors: Those with a status from 500.
        within: Those answered within each bound of `LOGGED`.
    """

    requests: int = 0
    errors: int = 0
    within: list[int] = field(default_factory=lambda: [0] * len(LOGGED))

    def minus(self, other: RouteTotals | None) -> RouteTotals:
        """What these have more than others; all of these without others."""
        other = other or RouteTotals()
        within = [mine - theirs for mine, theirs in zip(self.within, other.within, strict=True)]
        return RouteTotals(self.requests - other.requests, self.errors - other.errors, within)

    def plus(self, other: RouteTotals | None) -> RouteTotals:
        """The sum of both."""
        return self.minus(RouteTotals().minus(other))


def share_files(worker: int) -> None:
    """Have metrics made from now on kept in files of PROMETHEUS_MULTIPROC_DIR, under the number of this worker.

    By default the files carry process ids. A number is taken over by the process that replaces a worker, so that its
    counters go on where they were, and no file is left behind.
    """
    values.ValueClass = values.MultiProcessValue(lambda: worker)


class RequestMetrics:
    """Counts the requests of one process.

    Args:
        registry: Where they are shown; None when files are shared and read from all processes.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._requests = Counter(
            "assay_http_requests",
            "Requests by route and status code.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "assay_http_request_seconds",
            "Seconds until the response was handed to the server, by route.",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.underway = Gauge(
            "assay_http_requests_underway",
            "Requests being answered now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        # A worker that was killed has left its number in its file.
        self.underway.set(0)
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        # A shared file holds what a killed worker of this number counted. It appears with the first request of a kind.
        self._inherited: dict[str, RouteTotals] = {}
        self._changing = threading.Lock()
        self._waiting: deque[tuple[str, str, int, float]] = deque()
        # What is in a shared file is shown by other processes, and is kept when this one is killed.
        self._at_once = 1 if registry is None else COUNTED_AT_ONCE

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request, now or with the next `count`."""
        self._waiting.append((route, method, status, seconds))
        if len(self._waiting) >= self._at_once:
            self.count()

    def count(self) -> None:
        """Add the requests that wait to what is shown."""
        with self._changing:
            while self._waiting:
                route, method, status, seconds = self._waiting.popleft()
                key = (route, method, status)
                children = self._children.get(key)
                if children is None:
                    children = self._children[key] = self._new_children(route, method, status)
                children[0].inc()
                children[1].observe(seconds)

    def totals(self) -> dict[str, RouteTotals]:
        """What this process has counted, by route; without what a worker that it replaced had counted."""
        self.count()
        with self._changing:
            return {route: one.minus(self._inherited.get(route)) for route, one in self._shown().items()}

    def _new_children(self, route: str, method: str, status: int) -> tuple[Any, Any]:
        before = self._shown().get(route)
        children = self._requests.labels(route, method, str(status)), self._seconds.labels(route)
        appeared = self._shown()[route].minus(before)
        # Nothing was counted in between: whoever counts holds the lock.
        self._inherited[route] = appeared.plus(self._inherited.get(route))
        return children

    def _shown(self) -> dict[str, RouteTotals]:
        """What /metrics shows of this worker's number, by route."""
        found: dict[str, RouteTotals] = {}
        for metric in self._seconds.collect():
            for sample in metric.samples:
                if sample.name.endswith("_bucket"):
                    totals = found.setdefault(sample.labels["route"], RouteTotals())
                    bound = float(sample.labels["le"])
                    if bound in LOGGED:
                        totals.within[LOGGED.index(bound)] = int(sample.value)
                    elif bound == float("inf"):
                        # Not from the other counter: a request between both reads would be in one of them.
                        totals.requests = int(sample.value)
        for metric in self._requests.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total") and sample.labels["status"] >= "500":
                    found.setdefault(sample.labels["route"], RouteTotals()).errors += int(sample.value)
        return found
