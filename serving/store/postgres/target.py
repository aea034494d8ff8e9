"""Publishing into PostgreSQL: one transaction makes the next version, whole or not at all.

Here: the lock, the list of versions, and removing old ones. Not here: rows (`postgres.writer`), reading
(`postgres.store`).

Concept: until the transaction is committed, nobody sees any of it, and a publisher that is killed leaves the version
before. Readers are given the rows of the version they ask for (`postgres.schema`), so they wait for no publisher and a
publisher waits for no reader.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import psycopg
from psycopg import errors

from serving.store.errors import PublicationBusyError, StoreUnreachableError
from serving.store.files import KEPT_VERSIONS, Pointer
from serving.store.market_documents import PREFIX, stored_digest
from serving.store.plan import Base, Stored
from serving.store.postgres.connection import as_store_error, connect, connection_parameters, log_detail
from serving.store.postgres.schema import (
    CURRENT,
    PUBLICATIONS,
    SCHEMA,
    TABLES,
    create_statements,
    index_statements,
)
from serving.store.postgres.writer import PostgresWriter
from serving.store.schema import FORMAT
from serving.store.target import Changes, Stamp, Written

LOCK = 7_306_095_281_012_403
"""Key of the advisory lock of publications; a database has one store."""

KEPT_S = 60
"""Seconds for which a version is kept after another one took its place, however many follow (`postgres.store`)."""

POINTER_COLUMNS = [field.name for field in fields(Pointer) if field.name in PUBLICATIONS]


class PostgresTarget:
    """The store in a database.

    Args:
        con: A connection in a transaction that holds the lock.
    """

    def __init__(self, con: psycopg.Connection[Any]) -> None:
        self._con = con

    def base(self) -> tuple[Base | None, str | None]:
        """The newest version, if the tables are those of this code."""
        found = set(
            self._con.execute(
                "select table_name::text, column_name::text from information_schema.columns where table_schema = %s",
                (SCHEMA,),
            ).fetchall()
        )
        if not found:
            return None, "the first publication"
        expected = {("publications", column) for column in PUBLICATIONS}
        expected |= {(name, column) for name, table in TABLES.items() for column in table.columns}
        if not expected <= found:
            return None, "expected all tables of a published store, found some missing or changed"
        newest = self._con.execute(
            f"select {', '.join(POINTER_COLUMNS)}, collections, market from {SCHEMA}.publications "
            "order by number desc limit 1"
        ).fetchone()
        if newest is None:
            return None, "expected a version in the list of publications, found none"
        pointer, (collections, market) = pointer_of(newest), newest[len(POINTER_COLUMNS) :]
        rows = self._current(
            "collections", "name, id, tokens_digest, history_digest, record_digest, record, body"
        )
        stored = {
            _text(name): Stored(number, tokens, history, records, _text(record), body)
            for name, number, tokens, history, records, record, body in rows
        }
        if len(stored) != collections:
            return None, f"expected {collections:,} collections in the store, found {len(stored):,}"
        reasons = dict(self._current("explanations", "distinct collection, digest"))
        of_chart = f"substr(name, 1, {len(PREFIX)}) = '{PREFIX}'"
        documents = {
            _text(name): body for name, body in self._current("documents", "name, body", f"not {of_chart}")
        }
        markets = {
            _text(name).removeprefix(PREFIX): stored_digest(head)
            for name, head in self._current("documents", "name, substr(body, 1, 100)", of_chart)
        }
        wallets = {_text(owner): digest for owner, digest in self._current("gains", "owner, digest")}
        return Base(pointer, stored, documents, markets, reasons, wallets, market), None

    def confirm(self, pointer: Pointer) -> None:
        """Write how fresh the newest version is; its rows stay."""
        self._con.execute(
            f"update {SCHEMA}.publications set confirmed_at = %s, market_time = %s, lag_s = %s, stale_after_s = %s "
            f"where number = (select max(number) from {SCHEMA}.publications)",
            (pointer.confirmed_at, pointer.market_time, pointer.lag_s, pointer.stale_after_s),
        )

    def write(
        self, changes: Changes, base: Base | None, stamp: Stamp, timed: Callable[[str], None]
    ) -> Written:
        """Write what differs, list the version, remove what no kept version has, commit."""
        number = self._next_number()
        if base is None:
            self._con.execute(f"drop schema if exists {SCHEMA} cascade")
            for statement in create_statements():
                self._con.execute(statement)
        writer = PostgresWriter(self._con, number, is_new=base is None)
        writer.write(changes)
        if base is None:
            for statement in index_statements():
                self._con.execute(statement)
            for table in TABLES:
                self._con.execute(f"analyze {SCHEMA}.{table}")
        timed("write")
        pointer = stamp.pointer(f"{number:08d}-{secrets.token_hex(4)}", 0)
        self._list(number, pointer, len(changes.contents.collections), stamp.market)
        self._prune(number)
        size = self._one(
            "select sum(pg_total_relation_size(c.oid))::bigint from pg_class as c "
            f"where c.relnamespace = '{SCHEMA}'::regnamespace and c.relkind = 'r'"
        )
        self._con.execute(f"update {SCHEMA}.publications set bytes = %s where number = %s", (size, number))
        self._con.commit()
        timed("swap")
        return Written(replace(pointer, bytes=size), dict(writer.rows))

    def _next_number(self) -> int:
        """Higher than any before: rows of a store that takes another's place belong to none of its versions."""
        if self._one(f"select (to_regnamespace('{SCHEMA}') is null)::integer"):
            return 1
        try:
            with self._con.transaction():
                return self._one(f"select coalesce(max(number), 0) + 1 from {SCHEMA}.publications")
        except (errors.UndefinedTable, errors.UndefinedColumn):
            # The list is gone. Publications are hours apart, so this is beyond all that were counted from 1.
            return self._one("select (extract(epoch from clock_timestamp()) / 10)::integer")

    def _list(self, number: int, pointer: Pointer, collections: int, market: str) -> None:
        self._con.execute(
            f"update {SCHEMA}.publications set retired_at = clock_timestamp() where retired_at is null"
        )
        self._con.execute(
            f"insert into {SCHEMA}.publications (number, collections, market, {', '.join(POINTER_COLUMNS)}) "
            f"values (%s, %s, %s, {', '.join(['%s'] * len(POINTER_COLUMNS))})",
            (number, collections, market, *(getattr(pointer, column) for column in POINTER_COLUMNS)),
        )

    def _prune(self, number: int) -> None:
        """Remove versions beyond those that are kept, and rows that belong to none that is left."""
        oldest = self._one(
            f"select min(number) from {SCHEMA}.publications where number > {number - KEPT_VERSIONS} "
            f"or retired_at > clock_timestamp() - interval '{KEPT_S} s'"
        )
        removed = self._con.execute(f"delete from {SCHEMA}.publications where number < %s", (oldest,))
        if removed.rowcount:
            for table in TABLES:
                self._con.execute(f"delete from {SCHEMA}.{table} where until <= %s", (oldest,))

    def _current(self, table: str, columns: str, condition: str = "true") -> list[Any]:
        return self._con.execute(
            f"select {columns} from {SCHEMA}.{table} where until = {CURRENT} and {condition}", binary=True
        ).fetchall()

    def _one(self, sql: str) -> int:
        row = self._con.execute(sql).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def postgres_target(url: str, timeout_s: float) -> Iterator[PostgresTarget]:
    """The store in a database while no other process publishes to it; what was not committed by the end is undone.

    Raises:
        PublicationBusyError: Another process is publishing for too long.
        StoreError: The database cannot be used.
    """
    parameters = connection_parameters(url, application_name="assay publish")
    try:
        with connect(parameters, autocommit=False) as con:
            try:
                # At least 1 ms: 0 would wait without end.
                con.execute(f"set local lock_timeout = {max(1, round(timeout_s * 1000))}")
                con.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
                con.execute("set local lock_timeout = 0")
            except errors.LockNotAvailable:
                raise PublicationBusyError(timeout_s) from None
            yield PostgresTarget(con)
    except psycopg.Error as error:
        found = as_store_error(error, parameters)
        log_detail(found)
        raise found from None
    except StoreUnreachableError as error:
        log_detail(error)
        raise


def pointer_of(row: Any) -> Pointer:
    """A row of the list of versions (`POINTER_COLUMNS` first) as a pointer; there is no file."""
    return Pointer(format=FORMAT, file="", digest="", **dict(zip(POINTER_COLUMNS, row, strict=False)))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")
