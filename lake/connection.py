"""Open the lake: to read any snapshot, or to write one transaction under the lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

import duckdb

from lake.config import CATALOG_ALIAS, SCHEMAS, LakeConfig
from lake.errors import UnknownSnapshotError
from lake.extensions import open_database
from lake.lock import write_lock
from lake.migrations import is_current, migrate
from lake.tables import Table

BUSY_TIMEOUT_MS = 10_000
"""How long SQLite waits for another process's catalog commit (milliseconds); one takes a few of them."""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Lake:
    """One lake, opened as often as needed.

    Every ``read`` and ``write`` is a DuckDB instance of its own with the catalog attached as ``lake`` and in
    use, so a table is addressed as ``schema.table``. Opening costs about 0.09 s, in a process's first time 0.4 s
    (`extensions`).

    The first use in a process creates what is missing and migrates a lake of an earlier version, under the lock; when
    nothing has to be done that is one look, without it.

    Args:
        config: Where the lake is and what it may use.
        tables: Every table that the lake has once it is open (`ml.tables.registry`); none leaves tables to the caller.
    """

    def __init__(self, config: LakeConfig, tables: Sequence[Table] = ()) -> None:
        self.config = config
        self.tables = tuple(tables)
        self._ready = False

    def attach_sql(self) -> list[str]:
        """The statements that attach this lake to a DuckDB connection with the extensions loaded."""
        return [self._attach_statement(), f"use {CATALOG_ALIAS}"]

    @contextmanager
    def read(self, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that cannot change the lake.

        Args:
            snapshot: The lake as it was at this snapshot; None for each statement's newest state.

        Yields:
            A connection; temporary tables are allowed.

        Raises:
            UnknownSnapshotError: If the snapshot does not exist (any more).
            LakeVersionError: If the lake is of a newer version, or of an earlier one that cannot be migrated.
        """
        self._ensure_created()
        con = self._connect()
        try:
            try:
                con.execute(self._attach_statement(read_only=True, snapshot=snapshot))
            except duckdb.Error as error:
                if snapshot is None or "snapshot" not in str(error).lower():
                    raise
                raise UnknownSnapshotError(
                    f"Expected snapshot {snapshot} in the lake; never written, or expired by maintenance. "
                    f"`from lake.snapshots()` lists what can be read."
                ) from error
            con.execute(f"use {CATALOG_ALIAS}")
            yield con
        finally:
            con.close()

    @contextmanager
    def write(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction under the write lock: committed when the block ends, rolled back when it raises.

        Args:
            purpose: What is being written, told to whoever has to wait.

        Yields:
            A connection inside a transaction.

        Raises:
            LakeLockedError: If another process kept the lock longer than the timeout.
        """
        with self.writing(purpose):
            con = self._connect()
            try:
                for statement in self.attach_sql():
                    con.execute(statement)
                con.execute("begin")
                try:
                    yield con
                except BaseException:
                    # A commit that failed has already ended the transaction: then there is nothing to roll
                    # back.
                    with suppress(duckdb.TransactionException):
                        con.execute("rollback")
                    raise
                con.execute("commit")
            finally:
                con.close()

    @contextmanager
    def writing(self, purpose: str) -> Iterator[None]:
        """Only the write lock, for a writer that brings its own connection (dbt). Re-entrant in one thread.

        Raises:
            LakeLockedError: If another process kept the lock longer than the timeout.
            LakeVersionError: If the lake is of a newer version, or of an earlier one that cannot be migrated.
        """
        with self._lock(purpose):
            self._ensure_created()
            yield

    def _lock(self, purpose: str) -> AbstractContextManager[None]:
        return write_lock(self.config).held(purpose, self.config.lock_timeout_s)

    @contextmanager
    def maintaining(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writable connection under the lock in autocommit mode, which compaction calls insist on.

        Raises:
            LakeLockedError: If another process kept the lock longer than the timeout.
        """
        with self.writing(purpose):
            con = self._connect()
            try:
                for statement in self.attach_sql():
                    con.execute(statement)
                yield con
            finally:
                con.close()

    def snapshot_id(self) -> int:
        """The newest snapshot."""
        with self.read() as con:
            return current_snapshot(con)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        self.config.temp_directory.mkdir(parents=True, exist_ok=True)
        con = open_database(
            self.config.extensions,
            {
                "memory_limit": self.config.memory_limit,
                "threads": self.config.threads,
                "preserve_insertion_order": False,
                "temp_directory": str(self.config.temp_directory),
            },
        )
        con.execute("set TimeZone = 'UTC'")
        return con

    def _attach_statement(self, *, read_only: bool = False, snapshot: int | None = None) -> str:
        # OVERRIDE_DATA_PATH: files are recorded relative to the data path, so a home that was moved still
        # opens.
        options = [f"data_path {_quoted(self.config.parquet_path)}", "override_data_path true"]
        if not self.config.is_postgres:
            options += ["meta_journal_mode 'WAL'", f"meta_busy_timeout {BUSY_TIMEOUT_MS}"]
        if read_only:
            options.append("read_only")
        if snapshot is not None:
            options.append(f"snapshot_version {int(snapshot)}")
        return f"attach {_quoted(self.config.ducklake_path)} as {CATALOG_ALIAS} ({', '.join(options)})"

    def _ensure_created(self) -> None:
        """Create the catalog, its schemas and tables, or migrate them, once; afterwards this costs nothing."""
        if self._ready:
            return
        if (self.config.is_postgres or self.config.catalog_path.exists()) and self._is_complete():
            self._ready = True
            return
        with self._lock("create or migrate the lake"):
            if self.config.data_path is None:
                (self.config.folder / "data").mkdir(parents=True, exist_ok=True)
            con = self._connect()
            try:
                for statement in self.attach_sql():
                    con.execute(statement)
                present = _schemas(con)
                con.execute("begin")
                for schema in SCHEMAS:
                    if schema not in present:
                        con.execute(f"create schema if not exists {schema}")
                con.execute("commit")
                if self.tables:
                    migrate(con, self.tables, self.config.home)
            finally:
                con.close()
        self._ready = True

    def _is_complete(self) -> bool:
        con = self._connect()
        try:
            con.execute(self._attach_statement(read_only=True))
            if not set(SCHEMAS) <= _schemas(con):
                return False
            con.execute(f"use {CATALOG_ALIAS}")
            return not self.tables or is_current(con, self.tables, self.config.home)
        except duckdb.Error:
            # A catalog another process is just creating, or one that a kill left half made: decide under the
            # lock.
            return False
        finally:
            con.close()


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The snapshot a connection of this lake sees."""
    row = con.execute(f"select id from ducklake_current_snapshot('{CATALOG_ALIAS}')").fetchone()
    if row is None:
        raise UnknownSnapshotError(
            "Expected the catalog to have a snapshot; found none. Is this a DuckLake catalog?"
        )
    return int(row[0])


def _schemas(con: duckdb.DuckDBPyConnection) -> set[str]:
    rows = con.execute(
        "select schema_name from duckdb_schemas() where database_name = ?", [CATALOG_ALIAS]
    ).fetchall()
    return {row[0] for row in rows}
