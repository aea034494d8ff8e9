"""What a publication has to write: what the lake holds, compared with the version before.

Here: digests and documents, and the difference. Not here: reading the lake (`lake_reader`), reading the version before
and writing the next one (`sqlite.target`, `postgres.target`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.store.documents import as_json, compared
from serving.store.files import Pointer
from serving.store.market_documents import PREFIX


@dataclass(frozen=True)
class Contents:
    """What the lake holds.

    Attributes:
        collections: Documents by name, without track records.
        tokens: Digest of the tokens' answers by collection.
        history: Digest of the estimates' history by collection.
        records: Digest of the track record's sales by collection.
        gains: Digest of a wallet's positions and gains by wallet.
        documents: Documents about everything by name.
        markets: Digest of what the charts show by collection.
        explained: Tokens whose reasons are published, by collection.
    """

    collections: dict[str, dict[str, Any]]
    tokens: dict[str, str]
    history: dict[str, str]
    records: dict[str, str]
    gains: dict[str, str]
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
class Base:
    """The version before, as far as it has to be compared.

    Attributes:
        pointer: Which it is.
        stored: Its collections by name.
        documents: Its documents about everything by name.
        markets: Digest of what the charts show by collection.
        reasons: Digest of the reasons that it has, by the number of their collection.
        wallets: Digest of the gains by wallet.
        market: Which market it is of; empty: not said.
    """

    pointer: Pointer
    stored: dict[str, Stored]
    documents: dict[str, bytes]
    markets: dict[str, str]
    reasons: dict[int, str]
    wallets: dict[str, str]
    market: str = ""


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
        wallets: Addresses whose positions or gains changed, sorted.
        wallets_gone: Addresses that have neither any more.
        markets: Names of collections whose charts changed.
        vanished: Names of documents that are no more.
        others_changed: Whether a document differs.
    """

    stored: dict[str, Stored]
    ids: dict[str, int]
    gone: list[int]
    tokens: list[str]
    history: list[str]
    records: list[str]
    wallets: list[str]
    wallets_gone: list[str]
    markets: list[str]
    vanished: list[str]
    others_changed: bool

    @property
    def is_empty(self) -> bool:
        """Whether the previous version has all of it already, except for reasons (`reasons.changed_reasons`)."""
        changed = (
            *(self.gone, self.tokens, self.history, self.records),
            *(self.wallets, self.wallets_gone, self.markets, self.vanished),
        )
        return not (any(changed) or self.others_changed)


def plan_changes(contents: Contents, base: Base | None) -> Plan:
    """Compare what the lake holds with the version before; None: there is none."""
    stored = {} if base is None else base.stored
    documents = {} if base is None else base.documents
    markets = {} if base is None else base.markets
    wallets = {} if base is None else base.wallets
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

    others = compared(documents) != compared(contents.documents)
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
        sorted(wallet for wallet, digest in contents.gains.items() if wallets.get(wallet) != digest),
        sorted(wallets.keys() - contents.gains.keys()),
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
