"""Writing tokens, their history and their owners into an unfinished version.

Here: three tables that are too large to be compared as a whole. Not here: the others (`sqlite.version_writer`).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

import duckdb

from serving.store.lake_reader import HISTORY_DAYS, history_rows, token_rows

HISTORY_US = HISTORY_DAYS * 86_400_000_000
KEYS_AT_ONCE = 400
"""Keys in one `values` list: SQLite allows 32,766 variables, and more than a few hundred gain nothing."""

_INSERT_TOKEN = "insert or replace into tokens values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_HISTORY = "insert or ignore into history values (?, ?, ?, ?, ?)"
_REMOVE_HOLDING = "delete from holdings where owner = ? and collection = ? and token = ?"

Row = tuple[Any, ...]


def insert_tokens(store: sqlite3.Connection, lake: duckdb.DuckDBPyConnection, ids: dict[str, int]) -> int:
    """Fill the empty tables `tokens` and `holdings`; returns rows of tokens."""
    written = 0
    for batch in token_rows(lake, ids):
        store.executemany(_INSERT_TOKEN, batch)
        written += len(batch)
    store.execute(
        "insert into holdings select owner, collection, token from tokens where owner is not null order by 1, 2, 3"
    )
    return written


def update_tokens(store: sqlite3.Connection, lake: duckdb.DuckDBPyConnection, ids: dict[str, int]) -> int:
    """Make the tokens of these collections, and who holds them, those of the lake; returns rows written."""
    written, seen = 0, Counter[int]()
    for batch in token_rows(lake, ids):
        seen.update(row[0] for row in batch)
        written += _merge(store, batch)
    for name, number in ids.items():
        _drop_vanished(store, lake, name, number, seen[number])
    return written


def update_history(store: sqlite3.Connection, lake: duckdb.DuckDBPyConnection, ids: dict[str, int]) -> int:
    """Make the history of these collections that of the lake; returns rows added.

    Rows are added and forgotten by age. When the count then differs from the lake's, the past was corrected: the
    collection's history is written anew.
    """
    before, seen = store.total_changes, Counter[int]()
    newest: dict[int, int] = {}
    for batch in history_rows(lake, ids):
        for row in batch:
            seen[row[0]] += 1
            newest[row[0]] = max(newest.get(row[0], 0), row[2])
        store.executemany(_INSERT_HISTORY, batch)
    added = store.total_changes - before
    for name, number in ids.items():
        store.execute(
            "delete from history where collection = ? and as_of <= ?",
            (number, newest.get(number, 0) - HISTORY_US),
        )
        kept = store.execute("select count(*) from history where collection = ?", (number,)).fetchone()[0]
        if kept != seen[number]:
            store.execute("delete from history where collection = ?", (number,))
            for batch in history_rows(lake, {name: number}):
                store.executemany(_INSERT_HISTORY, batch)
    return added


def remove_collection(store: sqlite3.Connection, number: int) -> None:
    """Take out everything about a collection that is no more."""
    held = store.execute(
        "select owner, collection, token from tokens where collection = ? and owner is not null", (number,)
    ).fetchall()
    store.executemany(_REMOVE_HOLDING, held)
    aliases = store.execute(
        "select alias, kind, collection from aliases where collection = ?", (number,)
    ).fetchall()
    store.executemany("delete from aliases where alias = ? and kind = ? and collection = ?", aliases)
    for table in ("tokens", "history", "explanations"):
        store.execute(f"delete from {table} where collection = ?", (number,))
    store.execute("delete from collections where id = ?", (number,))


def _merge(store: sqlite3.Connection, batch: list[Row]) -> int:
    """Write the rows that differ from those that are there, and the owners that changed."""
    before = _stored(store, [(row[0], row[1]) for row in batch])
    changed = [row for row in batch if before.get((row[0], row[1]), (None, None))[1] != row[8]]
    store.executemany(_INSERT_TOKEN, changed)
    moved = [row for row in changed if before.get((row[0], row[1]), (None, None))[0] != row[7]]
    left = [(before[row[0], row[1]][0], row[0], row[1]) for row in moved if (row[0], row[1]) in before]
    store.executemany(_REMOVE_HOLDING, left)
    store.executemany(
        "insert or ignore into holdings values (?, ?, ?)",
        [(row[7], row[0], row[1]) for row in moved if row[7] is not None],
    )
    return len(changed)


def _stored(
    store: sqlite3.Connection, keys: list[tuple[int, str]]
) -> dict[tuple[int, str], tuple[Any, bytes]]:
    """Owner and body of the tokens that are there. The list is joined to the table: `in (values …)` would scan it."""
    found: dict[tuple[int, str], tuple[Any, bytes]] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = keys[start : start + KEYS_AT_ONCE]
        rows = store.execute(
            f"with k (c, t) as (values {', '.join(['(?, ?)'] * len(part))}) "
            "select e.collection, e.token, e.owner, e.body from k cross join tokens e "
            "on e.collection = k.c and e.token = k.t",
            [value for pair in part for value in pair],
        )
        found.update({(c, t): (owner, body) for c, t, owner, body in rows})
    return found


def _drop_vanished(
    store: sqlite3.Connection, lake: duckdb.DuckDBPyConnection, name: str, number: int, expected: int
) -> None:
    """Remove tokens that the lake has no more; rare, so they are only looked for when the count says so."""
    stored = store.execute("select token, owner from tokens where collection = ?", (number,)).fetchall()
    if len(stored) == expected:
        return
    rows = lake.execute("select token_id from predictions.token_estimates where collection = $1", [name])
    left = {row[0] for row in rows.fetchall()}
    for token, owner in stored:
        if token not in left:
            store.execute("delete from tokens where collection = ? and token = ?", (number, token))
            store.execute(_REMOVE_HOLDING, (owner, number, token))
