"""The tables of a store in PostgreSQL. Here: their DDL and how versions share them. Not here: what fills them.

Concept: each row has the range of versions that it belongs to: `since` it was written, `until` another one took its
place. A reader asks for the rows of one version, so it sees that version whole, whatever is written meanwhile, and
unchanged rows are in every version without being written again.

Names are kept as UTF-8 bytes: so they sort as in SQLite, whatever the encoding and collation of the database, and no
name is impossible. An index has the first bytes of a name (`head`), because PostgreSQL refuses long keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving.store.schema import FORMAT

SCHEMA_PREFIX = "assay_serving_"
SCHEMA = f"{SCHEMA_PREFIX}{FORMAT}"
"""Another format has another schema: machines with the code before and after it may share a database."""

CURRENT = 2_147_483_647
"""`until` of a row that is in the newest version."""

HEAD_BYTES = 200


def head(column: str) -> str:
    """SQL for the first bytes of a name, as the indexes have it."""
    return f"substring({column} from 1 for {HEAD_BYTES})"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        columns: Names and types, the key first.
        keys: How many columns the key has.
        indexes: What follows `on table` in each index.
        is_large: Whether rows that are in no version any more are found by an index.
    """

    columns: dict[str, str]
    keys: int
    indexes: tuple[str, ...] = ()
    is_large: bool = False


TABLES: dict[str, Table] = {
    "collections": Table(
        {
            "id": "bigint", "name": "bytea", "rank_eth": "float8", "tokens_digest": "text", "history_digest": "text",
            "record_digest": "text", "record": "bytea", "body": "bytea",
        },
        1,
        ("(id)",),
    ),
    # A hash index takes names of any length.
    "aliases": Table({"alias": "bytea", "kind": "text", "collection": "bigint"}, 3, ("using hash (alias)",)),
    "tokens": Table(
        {
            "collection": "bigint", "token": "bytea", "as_of": "bigint", "rank_eth": "float8",
            "expected_eth": "float8", "grade": "text", "tier": "text", "owner": "bytea", "body": "bytea",
        },
        2,
        (
            f"(collection, {head('token')})",
            f"(collection, rank_eth, {head('token')})",
            f"({head('owner')}) where owner is not null",
        ),
        is_large=True,
    ),
    "history": Table(
        {"collection": "bigint", "token": "bytea", "as_of": "bigint", "version": "bytea", "body": "bytea"},
        4,
        (f"(collection, {head('token')}, as_of)",),
        is_large=True,
    ),
    "explanations": Table(
        {"collection": "bigint", "token": "bytea", "digest": "text", "as_of": "bigint", "body": "bytea"},
        2,
        (f"(collection, {head('token')})",),
    ),
    "gains": Table({"owner": "bytea", "digest": "text", "body": "bytea"}, 1, (f"({head('owner')})",)),
    "documents": Table({"name": "bytea", "body": "bytea"}, 1, (f"({head('name')})",)),
}  # fmt: skip

PUBLICATIONS = {
    "number": "integer primary key", "version": "text not null", "published_at": "float8 not null",
    "confirmed_at": "float8 not null", "market_time": "text not null", "lag_s": "float8 not null",
    "stale_after_s": "float8 not null", "bytes": "bigint not null", "collections": "bigint not null",
    "market": "text not null", "retired_at": "timestamptz",
}  # fmt: skip
"""Versions that are kept; the highest number is current, and `retired_at` says when another one took its place."""


def create_statements() -> list[str]:
    """The statements that make an empty store, without its indexes: these are made after the first rows."""
    versions = "since integer not null, until integer not null"
    publications = ", ".join(f"{name} {kind}" for name, kind in PUBLICATIONS.items())
    return [
        f"create schema {SCHEMA}",
        f"create table {SCHEMA}.publications ({publications})",
        *(
            f"create table {SCHEMA}.{name} "
            f"({', '.join(f'{column} {kind}' for column, kind in table.columns.items())}, {versions})"
            for name, table in TABLES.items()
        ),
    ]


def index_statements() -> list[str]:
    """The statements that make the indexes."""
    statements = []
    for name, table in TABLES.items():
        statements += [f"create index on {SCHEMA}.{name} {index}" for index in table.indexes]
        if table.is_large:
            statements.append(f"create index on {SCHEMA}.{name} (until) where until < {CURRENT}")
    return statements
