"""The rows of the table `documents` that a publication writes, as every store keeps them.

Here: which documents, and their rows. Not here: making them (`documents`, `market_documents`), or writing
(`sqlite.version_writer`, `postgres.writer`).
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.store.market_documents import PREFIX, market_documents
from serving.store.target import Changes


def document_rows(changes: Changes) -> Iterator[tuple[str, bytes]]:
    """(name, JSON) of the documents of a version: all about everything, and those of collections that changed."""
    yield from changes.contents.documents.items()
    digests = {name: changes.contents.markets[name] for name in changes.plan.markets}
    yield from market_documents(changes.lake, digests)


def changed_documents(changes: Changes) -> list[str]:
    """The names of the documents that `document_rows` replaces, or that are no more."""
    charts = (f"{PREFIX}{name}" for name in changes.plan.markets)
    return [*changes.contents.documents, *charts, *changes.plan.vanished]
