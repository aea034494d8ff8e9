"""The served version of the store. Here: its age, size and counts. Not here: what the lake knows of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving.metrics.families import gauge
from serving.store.documents import STATUS
from serving.store.errors import StoreError
from serving.store.protocol import Edition


class Served(Protocol):
    """What is needed of a store."""

    def current(self) -> Edition:
        """The version to answer from."""
        ...

    def refusal(self) -> str | None:
        """Why a newer version is not served, if that is so."""
        ...


class StoreCollector(Collector):
    """Gauges of a store, read whenever Prometheus asks.

    Args:
        store: Which.
        now: Seconds since 1970.
    """

    def __init__(self, store: Served, now: Callable[[], float]) -> None:
        self._store, self._now = store, now

    def collect(self) -> Iterator[Metric]:
        """Gauges of the store; only `assay_store_up` when none can be served."""
        try:
            edition = self._store.current()
            status = json.loads(edition.document(STATUS) or b"{}")
        except StoreError:
            yield gauge("assay_store_up", "1 when a version of the store is served.", 0)
            return
        pointer = edition.pointer
        yield gauge("assay_store_up", "1 when a version of the store is served.", 1)
        yield gauge(
            "assay_store_refused",
            "1 when a newer version than the one served was refused.",
            self._store.refusal() is not None,
        )
        yield gauge("assay_store_age_seconds", "Age of the data served.", pointer.age_s(self._now()))
        yield gauge(
            "assay_store_stale_after_seconds", "Age from which data are stale.", pointer.stale_after_s
        )
        yield gauge("assay_store_published_timestamp_seconds", "When it was published.", pointer.published_at)
        yield gauge("assay_store_bytes", "Size of the version served.", pointer.bytes)
        for name in ("collections", "tokens", "tokens_valued"):
            if "estimates" in status:
                yield gauge(
                    f"assay_store_{name}", f"Published {name.replace('_', ' ')}.", status["estimates"][name]
                )
