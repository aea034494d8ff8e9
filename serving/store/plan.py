"""What a publication has to write: what the lake holds, compared with the version before.

Here: digests and documents, and the difference. Not here: reading the lake (`lake_reader`), writing (`version_writer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.store.documents import as_json
from serving.store.market_documents import PREFIX, stored_digest
from serving.store.sqlite_store import open_immutable


@dataclass(frozen=True)
class Contents:
    """What the lake holds.

    Attributes:
        collections: Documents by name, without track records.
        tokens: Digest of the tokens' answers by collection.
        history: Digest of the estimates' history by collection.
        records: Digest of the track record's sales by collection.
        documents: Documents about everything by name.
        markets: Digest of what the charts show by collection.
        explained: Tokens whose reasons are published, by collection.
    """

    collections: dict[str, dict[str, Any]]
    tokens: dict[str, str]
    history: dict[str, str]
    records: dict[str, str]
    documents: dict[str, bytes]
    markets: dict[str, str]
    explained: dict[str, list[str]]


@dataclass(frozen=True)
class Stored:
    """What a version has about one collection: its number, digests and documents."""

    id: int
    tokens: str
    history: str
    records: str
    record: str
    body: bytes


@dataclass(frozen=True)
class Plan:
    """What is to be written.

    Attributes:
        stored: Collections of the version before by name.
        ids: Number of each collection of the new version.
        gone: Numbers of collections that are no more.
        tokens: Names of collections whose tokens changed.
        history: Names of collections whose history changed.
        records: Names of collections whose track record changed.
        markets: Names of collections whose charts changed.
        vanished: Names of documents that are no more.
        others_changed: Whether a document differs, or the choice of reasons.
    """

    stored: dict[str, Stored]
    ids: dict[str, int]
    gone: list[int]
    tokens: list[str]
    history: list[str]
    records: list[str]
    markets: list[str]
    vanished: list[str]
    others_changed: bool

    @property
    def is_empty(self) -> bool:
        """Whether the previous version has all of it already."""
        return not (
            self.gone or self.tokens or self.history or self.records or self.markets or self.others_changed
        )


def plan_changes(contents: Contents, base: Path | None) -> Plan:
    """Compare what the lake holds with the version in the file `base`; None: there is none."""
    stored: dict[str, Stored] = {}
    documents: dict[str, bytes] = {}
    markets: dict[str, str] = {}
    explained: dict[str, set[str]] = {}
    if base is not None:
        con = open_immutable(base)
        try:
            for number, name, *columns in con.execute(
                "select id, name, tokens_digest, history_digest, record_digest, record, body from collections"
            ):
                stored[name] = Stored(number, *columns)
            cut = len(PREFIX)
            documents = dict(
                con.execute("select name, body from documents where substr(name, 1, ?) <> ?", (cut, PREFIX))
            )
            for name, head in con.execute(
                "select substr(name, ?), substr(body, 1, 100) from documents where substr(name, 1, ?) = ?",
                (cut + 1, cut, PREFIX),
            ):
                markets[name] = stored_digest(head)
            for name, token in con.execute(
                "select c.name, e.token from explanations e join collections c on c.id = e.collection"
            ):
                explained.setdefault(name, set()).add(token)
        finally:
            con.close()
    next_id = max((found.id for found in stored.values()), default=0) + 1
    ids = {name: found.id for name, found in stored.items() if name in contents.collections}
    for name in contents.collections:
        if name not in ids:
            ids[name], next_id = next_id, next_id + 1

    def changed(kind: str, digests: dict[str, str]) -> list[str]:
        return [
            name
            for name in contents.collections
            if name not in stored or getattr(stored[name], kind) != digests.get(name, "")
        ]

    wanted = {name: set(tokens) for name, tokens in contents.explained.items()}
    others = documents != contents.documents or wanted != explained
    for name, document in contents.collections.items():
        others = (
            others
            or name not in stored
            or collection_body(document, stored[name].record) != stored[name].body
        )
    return Plan(
        stored,
        ids,
        [found.id for name, found in stored.items() if name not in contents.collections],
        changed("tokens", contents.tokens),
        changed("history", contents.history),
        changed("records", contents.records),
        [name for name, digest in contents.markets.items() if markets.get(name) != digest],
        [
            *sorted(documents.keys() - contents.documents.keys()),
            *(PREFIX + name for name in sorted(markets.keys() - contents.markets.keys())),
        ],
        others,
    )


def collection_body(document: dict[str, Any], record: str) -> bytes:
    """A collection's document with its track record, and as-of last as in every answer."""
    text = as_json({name: value for name, value in document.items() if name != "as_of"}).decode()
    return f'{text[:-1]},"track_record":{record},"as_of":{as_json(document["as_of"]).decode()}}}'.encode()
