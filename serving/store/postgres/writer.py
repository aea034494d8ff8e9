"""Writing one version into the tables of a store in PostgreSQL.

Here: making the rows of a version those that the lake has. Not here: reading the lake, or which version is current
(`postgres.target`).

Concept: new rows are copied into a temporary table, and the database compares. A row that differs ends with the version
before and the new one begins with this version; a row that is equal is not written. So the same two statements serve
every table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import Any

import psycopg

from serving.store.collection_rows import collection_rows
from serving.store.document_rows import changed_documents, document_rows
from serving.store.gains_reader import gains_rows
from serving.store.lake_reader import history_rows, token_rows
from serving.store.postgres.schema import CURRENT, SCHEMA, TABLES, Table
from serving.store.target import Changes

Row = tuple[Any, ...]


class PostgresWriter:
    """Writes the rows of one version, within a transaction of the caller.

    Args:
        con: A connection in a transaction.
        number: Number of the version.
        is_new: Whether the tables are empty, and still without indexes.
    """

    def __init__(self, con: psycopg.Connection[Any], number: int, *, is_new: bool) -> None:
        self.rows: Counter[str] = Counter()
        self._con, self._number, self._is_new = con, number, is_new

    def write(self, changes: Changes) -> None:
        """Bring every table up to date."""
        lake, plan = changes.lake, changes.plan
        for table, names, read in (
            ("tokens", plan.tokens, token_rows),
            ("history", plan.history, history_rows),
        ):
            changed = {name: plan.ids[name] for name in names}
            batches = read(lake, changed) if changed else iter(())
            self._replace(table, (row for batch in batches for row in batch), [*changed.values(), *plan.gone])
        collections = list(collection_rows(lake, changes.contents, plan))
        self._replace("collections", (astuple(row) for row, _ in collections))
        self._replace(
            "aliases", ((alias, kind, row.id) for row, found in collections for alias, kind in found)
        )
        self._replace("documents", document_rows(changes), changed_documents(changes), by="name")
        self._replace("gains", _gains(changes), [*plan.wallets, *plan.wallets_gone], by="owner")
        reasons = (row for rows in changes.reasons.values() for row in rows)
        self._replace("explanations", reasons, [*changes.reasons, *plan.gone])

    def _replace(
        self, name: str, rows: Iterable[Row], scope: list[Any] | None = None, by: str = "collection"
    ) -> None:
        """Make the rows of these collections (owners), or of the whole table, exactly `rows`; counts the written."""
        table = TABLES[name]
        distinct = _distinct(rows, table.keys)
        if self._is_new:
            self.rows[name] = self._copy(f"{SCHEMA}.{name}", table, distinct, (self._number, CURRENT))
            return
        if scope == []:
            return
        columns = ", ".join(table.columns)
        self._con.execute(
            f"create temporary table new_{name} on commit drop as "
            f"select {columns} from {SCHEMA}.{name} with no data"
        )
        self._copy(f"new_{name}", table, distinct)
        self._con.execute(f"analyze new_{name}")
        keys, others = list(table.columns)[: table.keys], list(table.columns)[table.keys :]
        same_key = " and ".join(f"t.{column} = n.{column}" for column in keys)
        equal = " and ".join(
            [same_key, *(f"t.{column} is not distinct from n.{column}" for column in others)]
        )
        current = f"t.until = {CURRENT}"
        if scope is not None:
            current += f" and t.{by} = any(%(scope)s::{table.columns[by]}[])"
            if table.columns[by] == "bytea":
                scope = [value.encode("utf-8", "surrogatepass") for value in scope]
        values = {"scope": scope, "number": self._number}
        self._con.execute(
            f"update {SCHEMA}.{name} as t set until = %(number)s where {current} "
            f"and not exists (select from new_{name} as n where {equal})",
            values,
        )
        self.rows[name] = self._con.execute(
            f"insert into {SCHEMA}.{name} select n.*, %(number)s, {CURRENT} from new_{name} as n "
            f"where not exists (select from {SCHEMA}.{name} as t where {current} and {same_key})",
            values,
        ).rowcount

    def _copy(self, target: str, table: Table, rows: Iterable[Row], more: Row = ()) -> int:
        """Copy rows, each with `more` at its end; returns how many."""
        types = list(table.columns.values())
        encoded = [place for place, kind in enumerate(types) if kind == "bytea"]
        copied = 0
        with (
            self._con.cursor() as cursor,
            cursor.copy(f"copy {target} from stdin (format binary)") as copy,
        ):
            copy.set_types([*types, *["int4"] * len(more)])
            for row in rows:
                values = list(row)
                for place in encoded:
                    if isinstance(values[place], str):
                        values[place] = values[place].encode("utf-8", "surrogatepass")
                copy.write_row((*values, *more))
                copied += 1
        return copied


def _gains(changes: Changes) -> Iterator[Row]:
    for batch in gains_rows(changes.lake, changes.plan.wallets):
        yield from ((wallet, changes.contents.gains[wallet], body) for wallet, body in batch)


def _distinct(rows: Iterable[Row], keys: int) -> Iterator[Row]:
    """The rows with the first of each key: SQLite's keys see to that, and PostgreSQL is given none.

    Rows come in the order of at least the first two columns of the key.
    """
    near: set[Row] = set()
    group: Row | None = None
    for row in rows:
        if row[:2] != group:
            group = row[:2]
            near.clear()
        if row[:keys] not in near:
            near.add(row[:keys])
            yield row
