"""Prometheus metrics: of requests as they come, and of the data when they are asked for.

Here: their names and how they are measured. Not here: alerts on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.api.service import Service
from serving.store.documents import ACCURACY, STATUS
from serving.store.errors import StoreError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one API process.

    Args:
        service: Whose store is described.
    """

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "assay_http_requests",
            "Requests by route and status code.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "assay_http_request_seconds",
            "Seconds until the response was handed to the server, by route.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.underway = Gauge(
            "assay_http_requests_underway", "Requests being answered now.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(StoreCollector(service))
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, method, status)
        if key not in self._children:
            self._children[key] = (
                self._requests.labels(route, method, str(status)),
                self._seconds.labels(route),
            )
        counter, histogram = self._children[key]
        counter.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class StoreCollector(Collector):
    """What the published data say about themselves, read from the store whenever Prometheus asks.

    Args:
        service: Whose store.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Gauges of the store; only `assay_store_up` when none can be served."""
        try:
            edition = self._service.store.current()
            status = json.loads(edition.document(STATUS) or b"{}")
            accuracy = json.loads(edition.document(ACCURACY) or b"{}")
        except StoreError:
            yield _gauge("assay_store_up", "1 when a version of the store is served.", 0)
            return
        pointer, now = edition.pointer, self._service.now()
        yield _gauge("assay_store_up", "1 when a version of the store is served.", 1)
        yield _gauge(
            "assay_store_refused",
            "1 when a newer version than the one served was refused.",
            float(self._service.store.refusal() is not None),
        )
        yield _gauge("assay_store_age_seconds", "Age of the data served.", pointer.age_s(now))
        yield _gauge(
            "assay_store_stale_after_seconds", "Age from which data are stale.", pointer.stale_after_s
        )
        yield _gauge(
            "assay_store_published_timestamp_seconds", "When it was published.", pointer.published_at
        )
        yield _gauge("assay_store_bytes", "Size of the version served.", pointer.bytes)
        for name in ("collections", "tokens", "tokens_valued"):
            yield _gauge(f"assay_{name}", f"Published {name.replace('_', ' ')}.", status["estimates"][name])
        yield _by_label(
            "assay_drift_collections", "Collections by state of drift.", ("state",), status["drift"].items()
        )
        yield _by_label(
            "assay_service_level_budget_left_ratio",
            "Share of the error budget that is left.",
            ("slo",),
            ((row["name"], row["budget_left"]) for row in status["service_levels"]),
        )
        yield _by_label(
            "assay_service_level_paging",
            "1 while a service level pages.",
            ("slo",),
            ((row["name"], float(row["state"] == "page")) for row in status["service_levels"]),
        )
        sources = status["sources"]
        yield _by_label(
            "assay_source_newest_day_timestamp_seconds",
            "Newest day of arrival by source and table.",
            ("source", "table"),
            (((row["source"], row["table"]), _seconds(row["newest_day"])) for row in sources),
        )
        yield _by_label(
            "assay_quarantined_rows",
            "Rows turned away by source and table.",
            ("source", "table"),
            (((row["source"], row["table"]), row["quarantined"]) for row in sources),
        )
        recent = accuracy.get("recent") or {}
        for name, key in (
            ("assay_online_mdape_ratio", "mdape"),
            ("assay_interval_coverage_ratio", "coverage_80"),
        ):
            if recent.get(key) is not None:
                yield _gauge(name, f"{key} of the newest sales of all collections.", recent[key])


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=float(value))


def _by_label(name: str, about: str, labels: tuple[str, ...], rows: Any) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=labels)
    for labels_of_row, value in rows:
        if value is not None:
            family.add_metric(
                [labels_of_row] if isinstance(labels_of_row, str) else list(labels_of_row), float(value)
            )
    return family


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
