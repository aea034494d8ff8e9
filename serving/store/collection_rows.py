"""The rows of collections and of the ways to name them, as every store keeps them.

Here: a document with its track record, the digests it was made from, and its aliases. Not here: documents
(`collection_documents`), or writing (`sqlite.version_writer`, `postgres.writer`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from serving.store.documents import as_json, with_iso_times
from serving.store.plan import Contents, Plan, collection_body
from serving.store.schema import NO_VALUE_RANK


@dataclass(frozen=True)
class CollectionRow:
    """One row of the table `collections`, in the order of its columns.

    Attributes:
        id: Number of the collection.
        name: Its name.
        rank_eth: Value of its tokens in ETH, or -1 without any.
        tokens: Digest of its tokens' answers.
        history: Digest of its estimates' history.
        records: Digest of its track record's sales.
        record: Its track record as JSON; "null" without one.
        body: Its document.
    """

    id: int
    name: str
    rank_eth: float
    tokens: str
    history: str
    records: str
    record: str
    body: bytes


def collection_rows(
    con: duckdb.DuckDBPyConnection, contents: Contents, plan: Plan
) -> Iterator[tuple[CollectionRow, set[tuple[str, str]]]]:
    """Each collection of the new version with its aliases: (alias, kind)."""
    from ml.explain.track_record import track_records

    due = set(plan.records)
    found = track_records(con, plan.records) if due else {}
    for name, document in contents.collections.items():
        before = plan.stored.get(name)
        if before is None or name in due:
            record = as_json(with_iso_times(found[name].as_dict())).decode() if name in found else "null"
        else:
            record = before.record
        aliases = {(name, "name")}
        if document["contract"]:
            aliases.add((document["contract"].lower(), "contract"))
        # Also a slug that several share: a request by it lists all of them, and none takes over another's.
        if document["slug"]:
            aliases.add((document["slug"], "slug"))
        yield (
            CollectionRow(
                plan.ids[name],
                name,
                document["value_eth"] if document["tokens_valued"] else NO_VALUE_RANK,
                contents.tokens.get(name, ""),
                contents.history.get(name, ""),
                contents.records.get(name, ""),
                record,
                collection_body(document, record),
            ),
            aliases,
        )
