"""Dagster's run history without secrets: what a step logs and its errors are masked before it is stored.

Here: Dagster's SQLite storage in its default places, with a mask where texts come in: events and ticks; runs with
their origin. And the choice between it and PostgreSQL (`orchestration.runs.postgres_history`). Not here: what a secret
is (`orchestration.output.masking`), what an origin is (`orchestration.run_origin`). `dagster.yaml` names the class, so
that every process of Dagster on a home writes through it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
from dagster import DagsterRun
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.event import listen

from lake.storage import place_new
from orchestration.dagster_internals import (
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    DagsterSqliteStorage,
    DagsterStorage,
    EventLogEntry,
    InstigatorTick,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
    TickData,
    event_logs_directory,
)
from orchestration.errors import HomeError
from orchestration.run_database import SETTING, postgres_client
from orchestration.run_origin import with_origin
from orchestration.runs.masked_objects import without_secrets

KEPT_OPEN = 4
"""Files of one kind whose connection stays open: the index of events and the newest runs."""


class _OpenFiles:
    """Connections to SQLite files that stay open.

    Dagster opens its file anew for each statement and waits for the disk at each commit: half of the 17 ms of an event.
    In WAL mode `synchronous = normal` loses no commit when a process is killed, and nothing is corrupt after a power
    failure; the last events may then be missing from the history. The lake, which holds the data, is not affected.
    """

    def __init__(self) -> None:
        self._engines: OrderedDict[tuple[int, str], Engine] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, address: str) -> AbstractContextManager[Connection]:
        """A transaction on a file."""
        with self._lock:
            # Per process: a connection must not be used on both sides of a fork.
            key = (os.getpid(), address)
            engine = self._engines.pop(key, None)
            if engine is None:
                engine = create_engine(address, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
                listen(engine, "connect", lambda raw, _: raw.execute("pragma synchronous = normal"))
            self._engines[key] = engine
            while len(self._engines) > KEPT_OPEN:
                self._close(*self._engines.popitem(last=False))
        return engine.begin()

    def close(self) -> None:
        """Close all; the next transaction opens its file anew."""
        with self._lock:
            while self._engines:
                self._close(*self._engines.popitem())

    @staticmethod
    def _close(key: tuple[int, str], engine: Engine) -> None:
        # What was opened before a fork is the parent's to close.
        engine.dispose(close=key[0] == os.getpid())


class _Runs(SqliteRunStorage):
    """The list of runs."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = _OpenFiles()
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._files.begin(self._conn_string) as connection:
            yield connection

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        return super().add_run(with_origin(dagster_run))

    def dispose(self) -> None:
        super().dispose()
        self._files.close()


class _Events(SqliteEventLogStorage):
    """Events, masked."""

    _empty: ClassVar[bytes | None] = None
    """The file of a run without events, as Dagster has made it in this process."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = _OpenFiles()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard not in self._initialized_dbs:
            self._make(shard)
        with self._db_lock, self._files.begin(self.conn_string_for_shard(shard)) as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Dagster asks at each event of a check, of a file that it opens for the question; a table does not go away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _make(self, shard: str) -> None:
        """Make the tables of a file: Dagster's own connection does (0.1 s); later runs get a copy of the first's."""
        file = Path(self.path_for_shard(shard))
        is_new_run = shard != INDEX_SHARD_NAME and not file.exists()
        if is_new_run and _Events._empty is not None:
            _place(_Events._empty, file)
            self._initialized_dbs.add(shard)
            return
        with super()._connect(shard):
            pass
        if is_new_run:
            with closing(sqlite3.connect(file)) as made:
                _Events._empty = made.serialize()

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(without_secrets(event))

    def dispose(self) -> None:
        super().dispose()
        self._files.close()


def _place(content: bytes, file: Path) -> None:
    """Make a file in one step, unless another process was faster. Not flushed to the disk, like Dagster's events."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
        made = Path(scratch) / file.name
        made.write_bytes(content)
        place_new(made, file)


class _Ticks(SqliteScheduleStorage):
    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        return super().create_tick(without_secrets(tick_data))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        return super().update_tick(without_secrets(tick))


class MaskedSqliteStorage(DagsterSqliteStorage):
    """Dagster's default storage with the mask."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the files that Dagster itself would make in the folder.

        Args:
            base_dir: The folder, `$DAGSTER_HOME`.
            inst_data: Dagster's description of this object.
        """
        super().__init__(base_dir, inst_data)
        self._run_storage = _Runs(self._run_storage._conn_string)
        self._event_log_storage = _Events(event_logs_directory(base_dir))
        self._schedule_storage = _Ticks(self._schedule_storage._conn_string)


class RunHistory(MaskedSqliteStorage):
    """The run history of a home, as its `dagster.yaml` says: files of the home, or a database."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What `dagster.yaml` has: the folder, and whether a database is used in its place."""
        return {"base_dir": dg.StringSource, "in_postgres": dg.Field(bool, default_value=False)}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData, config_value: dict[str, Any]
    ) -> DagsterStorage:
        """How Dagster makes it. The address of the database is in the environment only.

        Raises:
            HomeError: It is missing there, or PostgreSQL's client is not installed.
        """
        if not config_value["in_postgres"]:
            return MaskedSqliteStorage(config_value["base_dir"], inst_data)
        return _postgres_storage(inst_data)


def _postgres_storage(inst_data: ConfigurableClassData) -> DagsterStorage:
    url = os.environ.get(SETTING)
    if not url:
        raise HomeError(
            f"Expected {SETTING}, because Dagster's run history of this home is in PostgreSQL; found none. Set it, or "
            "remove dagster/dagster.yaml from the home to begin a history in its files."
        )
    postgres_client()
    from orchestration.runs.postgres_history import MaskedPostgresStorage

    return MaskedPostgresStorage(url, inst_data)
