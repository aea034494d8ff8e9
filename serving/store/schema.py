"""The tables of a store file. Here: their DDL and the number of the format. Not here: what fills them.

Concept: every table has the key of its look-ups as primary key and no rowid, so that one look-up walks one B-tree.
`body` holds an answer as JSON, ready to be sent. Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

FORMAT = 3
"""Changes with the tables or with the content of a `body`; readers refuse another one, publication starts anew."""

NO_VALUE_RANK = -1.0
"""`rank_eth` of a token without a value: below every estimate, so that such tokens come last."""

TABLES: dict[str, str] = {
    "meta": "key text primary key, value text not null",
    # The digests say what the lake held when the collection was last written.
    "collections": """id integer primary key, name text not null unique, rank_eth real not null,
        tokens_digest text not null, history_digest text not null, record_digest text not null,
        record text not null, body blob not null""",
    # Ways to name a collection: kind is name, contract (lower case) or slug.
    "aliases": "alias text, kind text, collection integer, primary key (alias, kind, collection)",
    "tokens": """collection integer, token text, as_of integer not null, rank_eth real not null,
        expected_eth real, grade text, tier text not null, owner text, body blob not null,
        primary key (collection, token)""",
    "history": """collection integer, token text, as_of integer, version text, body blob not null,
        primary key (collection, token, as_of, version)""",
    "explanations": """collection integer, token text, digest text not null, as_of integer, body blob not null,
        primary key (collection, token)""",
    # Addresses in lower case.
    "holdings": "owner text, collection integer, token text, primary key (owner, collection, token)",
    # The digest says what the marts held when the wallet was last written; addresses in lower case.
    "gains": "owner text primary key, digest text not null, body blob not null",
    "documents": "name text primary key, body blob not null",
}
_WITH_ROWID = {"collections"}
INDEXES = (
    "create index tokens_by_value on tokens (collection, rank_eth, token)",
    "create index collections_by_value on collections (rank_eth, name)",
)


def create_statements() -> list[str]:
    """The statements that make an empty store, without its indexes: these are made after the first rows."""
    return [
        f"create table {name} ({columns})" + ("" if name in _WITH_ROWID else " without rowid")
        for name, columns in TABLES.items()
    ]
