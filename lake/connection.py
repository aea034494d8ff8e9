"""Open the lake: to read any snapshot, or to write one transaction under the lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import duckdb

from lake.backup_record import way_back
from lake.catalog import BUSY_TIMEOUT_MS, read_catalog
from lake.config import CATALOG_ALIAS, SCHEMAS, LakeConfig
from lake.digests import is_prepared, prepare, record_new
from lake.errors import CatalogLostError, LakeError, UnknownSnapshotError
from lake.extensions import open_database
from lake.lock import write_lock
from lake.migrations import STEPS, Step, is_current, migrate
from lake.open_instances import forget_all, open_connection
from lake.ownership import Marker, claim, data_folder, owned, read_marker, refuse_other_lakes
from lake.postgres import SECRET
from lake.sqlite_files import problems_of
from lake.storage import Storage, quoted
from lake.tables import Table
from lake.transaction import transaction


class Lake:
    """One lake, opened as often as needed.

    Every ``read`` and ``write`` is a DuckDB connection with the catalog attached as ``lake`` and in use, so a table is
    addressed as ``schema.table``. A read of an earlier snapshot is a DuckDB instance of its own, which costs about
    0.05 s, in a process's first time 0.4 s (`extensions`); readers of the newest state share one, and so do writers.

    The first use in a process creates what is missing and migrates a lake of an earlier version, under the lock; when
    nothing has to be done that is one query, without the lock.

    Args:
        config: Where the lake is and what it may use.
        tables: Every table that the lake has once it is open (`ml.tables.registry`); none leaves tables to the caller.
        steps: How a lake of an earlier version gets there.
    """

    def __init__(
        self, config: LakeConfig, tables: Sequence[Table] = (), steps: Sequence[Step] = STEPS
    ) -> None:
        self.config = config
        self.tables = tuple(tables)
        self.steps = tuple(steps)
        self._ready = False
        self._folder = data_folder(config, None)

    @property
    def data_folder(self) -> str:
        """Folder or prefix of this lake's Parquet files, with trailing slash; the lake is made if it is not there.

        Raises:
            DataPathError: If the folder is another lake's.
        """
        self._ensure_created()
        return self._folder

    @contextmanager
    def read(
        self, snapshot: int | None = None, *, following: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that cannot change the lake, and sees one state of it.

        Args:
            snapshot: The lake as it was at this snapshot; None for the newest when the first statement runs.
            following: Whether each statement sees what is newest then, also what was written since the first; it costs
                a statement half as much again (4 ms), and two statements may not agree.

        Yields:
            A connection; temporary tables are allowed.

        Raises:
            UnknownSnapshotError: If the snapshot does not exist (any more).
            LakeVersionError: If the lake is of a newer version, or of an earlier one that cannot be migrated.
        """
        self._ensure_created()
        if snapshot is None:
            with self._shared(read_only=True) as con:
                if not following:
                    con.execute("begin")
                yield con
            return
        try:
            con = self._attached(read_only=True, snapshot=snapshot)
        except duckdb.Error as error:
            if "snapshot" not in str(error).lower():
                raise
            raise UnknownSnapshotError(
                f"Expected snapshot {snapshot} in the lake; never written, or expired by maintenance. "
                f"`from lake.snapshots()` lists what can be read."
            ) from error
        with closing(con):
            yield con

    @contextmanager
    def write(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction under the write lock: committed when the block ends, rolled back when it raises.

        Args:
            purpose: What is being written; shown to processes that have to wait.

        Yields:
            A connection inside a transaction.

        Raises:
            LakeLockedError: If another process kept the lock longer than the timeout.
        """
        with self.writing(purpose), self._shared(read_only=False) as con, transaction(con):
            yield con

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
            if write_lock(self.config).depth == 1:
                with self._shared(read_only=False) as con:
                    record_new(con, self._folder)

    def _lock(self, purpose: str) -> AbstractContextManager[None]:
        return write_lock(self.config).held(purpose, self.config.lock_timeout_s)

    @contextmanager
    def maintaining(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writable connection under the lock in autocommit mode, which compaction calls insist on.

        Raises:
            LakeLockedError: If another process kept the lock longer than the timeout.
        """
        with self.writing(purpose):
            con = self._attached()
            try:
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
                # DuckLake reads its catalog in many small statements: more threads cost twice the CPU time.
                "threads": 1,
                "preserve_insertion_order": False,
                "temp_directory": str(self.config.temp_directory),
            },
        )
        con.execute("set TimeZone = 'UTC'")
        if self.config.is_postgres:
            for statement in self.config.postgres.secret_sql():
                con.execute(statement)
        if self.config.object_store is not None:
            con.execute(self.config.object_store.secret_sql())
        return con

    def _attach_statement(self, *, read_only: bool = False, snapshot: int | None = None) -> str:
        # OVERRIDE_DATA_PATH: files are recorded relative to the data path, so a home that was moved still
        # opens. No inlined rows: SQLite parses the table that each lake table has for them with every question.
        options = [
            f"data_path {quoted(self._folder)}",
            "override_data_path true",
            "data_inlining_row_limit 0",
        ]
        if not self.config.is_postgres:
            options += ["meta_journal_mode 'WAL'", f"meta_busy_timeout {BUSY_TIMEOUT_MS}"]
        elif self.config.postgres.password is not None:
            options.append(f"meta_secret '{SECRET}'")
        if read_only:
            options.append("read_only")
        if snapshot is not None:
            options.append(f"snapshot_version {int(snapshot)}")
        return f"attach {quoted(self.config.ducklake_path)} as {CATALOG_ALIAS} ({', '.join(options)})"

    def owned_folder(self) -> Marker:
        """The marker of the lake's folder, read again, for a caller that is about to delete files there.

        Raises:
            DataPathError: If the folder is not, or no longer, this lake's.
        """
        catalog = read_catalog(self.config)
        if catalog is None:
            raise LakeError("Expected the lake's catalog, found none; it was there when the lake was opened.")
        return owned(self.config, catalog, self._connect)

    def _ensure_created(self) -> None:
        """Compare catalog and folder, create what is missing or migrate it, once; afterwards this costs nothing.

        A lake that is complete is opened without the lock; creating and migrating take it.
        """
        if self._ready:
            return
        if not self._is_complete():
            with self._lock("create or migrate the lake"):
                self._create()
        self._ready = True

    def _is_complete(self) -> bool:
        try:
            catalog = read_catalog(self.config)
        except duckdb.Error:
            # A catalog another process is just creating, or a damaged one: decide under the lock.
            return False
        if catalog is None:
            return False
        self._folder = claim(self.config, catalog, self._connect)
        return self._has_tables()

    def _create(self) -> None:
        try:
            catalog = read_catalog(self.config)
        except duckdb.Error:
            self._refuse_damaged_catalog()
            raise
        if catalog is None:
            self._refuse_lost_catalog()
            # First the catalog, because the lake's id is in it, then the marker, then the first file.
            refuse_other_lakes(self.config, None, self._connect)
            self._attached().close()
            catalog = read_catalog(self.config)
            if catalog is None:
                raise LakeError(
                    "Expected DuckLake to have made the lake's catalog, found none of its tables."
                )
        self._folder = claim(self.config, catalog, self._connect)
        con = self._attached()
        try:
            present = _schemas(con)
            with transaction(con):
                for schema in SCHEMAS:
                    if schema not in present:
                        con.execute(f"create schema if not exists {schema}")
            prepare(con)
            if self.tables:
                migrate(con, self.tables, self.config.home, self.steps)
        finally:
            con.close()

    def _refuse_damaged_catalog(self) -> None:
        path = self.config.catalog_path
        if self.config.is_postgres or not path.is_file():
            return
        (problem,) = problems_of([path])
        if problem is not None:
            raise CatalogLostError(
                f"Expected the lake's catalog at {path}, found a damaged file ({problem}); nothing was changed. "
                f"{way_back(self.config.home)} (docs/runbook/lake-unreadable.md)."
            )

    def _refuse_lost_catalog(self) -> None:
        """Refuse to make a new catalog where the files of an earlier one are: the marker is made after the catalog."""
        if self.config.is_postgres or self.config.data_path is not None:
            return
        marker = read_marker(Storage(self._folder, self._connect))
        if marker is not None:
            raise CatalogLostError(
                f"Expected the catalog of lake {marker.lake_id} at {self.config.catalog_path}, found none; its files "
                f"are still in {self._folder}, and nothing was changed. {way_back(self.config.home)} "
                "(docs/runbook/lake-unreadable.md)."
            )

    def _attached(self, *, read_only: bool = False, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
        """A connection in the lake, with all its threads once the catalog is read."""
        con = self._connect()
        try:
            con.execute(self._attach_statement(read_only=read_only, snapshot=snapshot))
            con.execute(f"use {CATALOG_ALIAS}")
            con.execute(f"set threads = {self.config.threads}")
        except BaseException:
            con.close()
            raise
        return con

    @contextmanager
    def _shared(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection; with an SQLite catalog of an instance that stays open (a server closes idle ones)."""
        if self.config.is_postgres:
            with closing(self._attached(read_only=read_only)) as con:
                yield con
            return
        key = (self.config, self._attach_statement(read_only=read_only))
        con = open_connection(key, self.config.catalog_path, lambda: self._kept_open(read_only=read_only))
        with closing(con):
            con.execute("set TimeZone = 'UTC'")
            con.execute(f"use {CATALOG_ALIAS}")
            try:
                yield con
            except (duckdb.FatalException, duckdb.InternalException):
                forget_all()
                raise

    def _kept_open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        con = self._attached(read_only=read_only)
        if self.config.object_store is None:
            # The operating system has the files in memory anyway: an instance that stays open would keep a second copy.
            con.execute("set enable_external_file_cache = false")
        return con

    def _has_tables(self) -> bool:
        con = self._connect()
        try:
            con.execute(self._attach_statement(read_only=True))
            if not set(SCHEMAS) <= _schemas(con) or not is_prepared(con):
                return False
            con.execute(f"use {CATALOG_ALIAS}")
            return not self.tables or is_current(con, self.tables, self.config.home, self.steps)
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
    # Not bound: DuckDB imports pandas, half a second, to bind the first value of a process.
    rows = con.execute(
        f"select schema_name from duckdb_schemas() where database_name = {quoted(CATALOG_ALIAS)}"
    ).fetchall()
    return {row[0] for row in rows}
