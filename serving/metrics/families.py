"""Gauges and counters made when Prometheus asks, for collectors. Here: building them. Not here: their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Row = tuple[Sequence[str], float | None]
"""Values of the labels, and the number; None: there is none, and the series is left out."""


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """One number."""
    return GaugeMetricFamily(name, about, value=float(value))


def gauges(name: str, about: str, labels: Sequence[str], rows: Iterable[Row]) -> GaugeMetricFamily:
    """A number for each row of labels."""
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, number in rows:
        if number is not None:
            family.add_metric(list(values), float(number))
    return family


def counters(name: str, about: str, labels: Sequence[str], rows: Iterable[Row]) -> CounterMetricFamily:
    """A number that only grows for each row of labels; its series end in `_total`."""
    family = CounterMetricFamily(name, about, labels=labels)
    for values, number in rows:
        if number is not None:
            family.add_metric(list(values), float(number))
    return family
