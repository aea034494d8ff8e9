"""Bringing one store file up to date: what has to be written, and the statements that write it.

Here: comparing digests, and SQLite. Not here: reading the lake, or making the file current.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from types import TracebackType

from serving.store.collection_rows import collection_rows
from serving.store.document_rows import document_rows
from serving.store.gains_reader import gains_rows
from serving.store.schema import FORMAT, INDEXES, create_statements
from serving.store.sqlite.token_writer import insert_tokens, remove_collection, update_history, update_tokens
from serving.store.target import Changes


class VersionWriter:
    """Writes one unfinished file: copied from the version before, or new. A context manager that closes it."""

    def __init__(self, path: Path, *, is_new: bool) -> None:
        """Open the file; nothing else may read it yet, so it needs no journal and no flush until it is complete."""
        self.rows: Counter[str] = Counter()
        self._is_new = is_new
        self._con = sqlite3.connect(path, isolation_level=None)
        self._con.execute("pragma journal_mode = off")
        self._con.execute("pragma synchronous = off")
        self._con.execute("pragma cache_size = -65536")
        self._con.execute("begin")
        if is_new:
            for statement in create_statements():
                self._con.execute(statement)

    def __enter__(self) -> VersionWriter:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; what was not sealed is thrown away with it."""
        self._con.close()

    def write(self, changes: Changes) -> None:
        """Bring every table up to date."""
        con, plan = changes.lake, changes.plan
        for number in plan.gone:
            remove_collection(self._con, number)
        changed = {name: plan.ids[name] for name in plan.tokens}
        if changed:
            write_tokens = insert_tokens if self._is_new else update_tokens
            self.rows["tokens"] = write_tokens(self._con, con, changed)
        if plan.history:
            self.rows["history"] = update_history(
                self._con, con, {name: plan.ids[name] for name in plan.history}
            )
        self._write_collections(changes)
        self._write_gains(changes)
        self._write_reasons(changes)
        for row in document_rows(changes):
            self._upsert("documents", row)
        self._con.executemany("delete from documents where name = ?", [(name,) for name in plan.vanished])
        if self._is_new:
            for statement in INDEXES:
                self._con.execute(statement)

    def seal(self, version: str, now: float, market_time: datetime) -> None:
        """Say which version this is, and commit."""
        counts = {
            f"rows_{table}": self._con.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("collections", "documents", "explanations")
        }
        meta = {
            "format": FORMAT,
            "version": version,
            "published_at": now,
            "market_time": market_time.isoformat(),
            **counts,
        }
        self._con.executemany(
            "insert or replace into meta values (?, ?)", [(k, str(v)) for k, v in meta.items()]
        )
        self._con.execute("commit")

    def _write_collections(self, changes: Changes) -> None:
        for row, aliases in collection_rows(changes.lake, changes.contents, changes.plan):
            before = changes.plan.stored.get(row.name)
            kept = before and (before.tokens, before.history, before.records, before.body)
            if kept != (row.tokens, row.history, row.records, row.body):
                self._upsert("collections", astuple(row))
            self._replace_aliases(row.id, aliases)

    def _replace_aliases(self, number: int, wanted: AbstractSet[tuple[str, str]]) -> None:
        for alias, kind in self._aliases.get(number, set()) - wanted:
            self._con.execute(
                "delete from aliases where alias = ? and kind = ? and collection = ?", (alias, kind, number)
            )
        for alias, kind in wanted - self._aliases.get(number, set()):
            self._upsert("aliases", (alias, kind, number))

    @property
    def _aliases(self) -> dict[int, set[tuple[str, str]]]:
        if not hasattr(self, "_stored_aliases"):
            self._stored_aliases: dict[int, set[tuple[str, str]]] = {}
            for alias, kind, number in self._con.execute("select alias, kind, collection from aliases"):
                self._stored_aliases.setdefault(number, set()).add((alias, kind))
        return self._stored_aliases

    def _write_gains(self, changes: Changes) -> None:
        for batch in gains_rows(changes.lake, changes.plan.wallets):
            rows = [(wallet, changes.contents.gains[wallet], body) for wallet, body in batch]
            self._con.executemany("insert or replace into gains values (?, ?, ?)", rows)
            self.rows["gains"] += len(rows)
        gone = [(wallet,) for wallet in changes.plan.wallets_gone]
        self._con.executemany("delete from gains where owner = ?", gone)

    def _write_reasons(self, changes: Changes) -> None:
        for number, rows in changes.reasons.items():
            self._con.execute("delete from explanations where collection = ?", (number,))
            for row in rows:
                self._upsert("explanations", row)

    def _upsert(self, table: str, row: tuple[object, ...]) -> None:
        self._con.execute(f"insert or replace into {table} values ({', '.join('?' * len(row))})", row)
        self.rows[table] += 1
