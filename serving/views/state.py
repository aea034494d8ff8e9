"""How right and how fresh everything is: the accuracy document, and the state of what is served."""

from __future__ import annotations

from datetime import UTC, datetime

from serving.store.documents import ACCURACY, DICTIONARY, OPERATIONS, STATUS, as_json
from serving.store.protocol import Edition, Store
from serving.views.answer import answer
from serving.views.errors import NotPublishedError


def accuracy_answer(edition: Edition, now: float) -> bytes:
    """Walk-forward errors beside the baselines, and the error of the newest sales."""
    return answer(_document(edition, ACCURACY), edition.pointer, now)


def operations_answer(edition: Edition, now: float) -> bytes:
    """Service levels with their budgets, drift, queue, decisions, quarantine, alerts and runs, at publication."""
    return answer(_document(edition, OPERATIONS), edition.pointer, now)


def dictionary_answer(edition: Edition, now: float) -> bytes:
    """Every table and column: description, unit, example, lineage and freshness."""
    return answer(_document(edition, DICTIONARY), edition.pointer, now)


def status_answer(store: Store, edition: Edition, now: float) -> bytes:
    """Freshness by source, service levels, drift, and which version is served since when."""
    pointer = edition.pointer
    served = {
        "version": pointer.version,
        "published_at": _iso_utc(pointer.published_at),
        "confirmed_at": _iso_utc(pointer.confirmed_at),
        "stale_after_s": pointer.stale_after_s,
        "refused": store.refusal(),
    }
    body = b'{"store":%b,%b' % (as_json(served), _document(edition, STATUS)[1:])
    return answer(body, pointer, now)


def _document(edition: Edition, name: str) -> bytes:
    body = edition.document(name)
    if body is None:
        raise NotPublishedError(
            f"expected the document {name} in the store, found none; publish with `assay run`"
        )
    return body


def _iso_utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
