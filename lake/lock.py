"""One writer at a time, across threads, processes and (on PostgreSQL) machines.

DuckLake retries conflicting commits, but concurrent writers on one catalog fail with "database is locked" and
concurrent DDL has corrupted catalogs, so every writer takes this lock first. The embedded lake uses a file
lock, which the operating system releases when the process that holds it ends, however it ends. A PostgreSQL
catalog uses an advisory lock held by an open transaction, which the server releases when the connection is gone.
A process that waits logs which process holds the lock.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import duckdb
from filelock import FileLock, Timeout

from lake.config import LakeConfig
from lake.errors import LakeLockedError
from lake.extensions import open_database

logger = logging.getLogger(__name__)

POLL_S = 0.2
"""How often a waiting writer tries again, in seconds."""

ANNOUNCE_EVERY_S = 30.0
"""How often a waiting writer logs again which process it waits for, in seconds."""


@dataclass(frozen=True)
class LockHolder:
    """The process that holds the write lock."""

    pid: int
    host: str
    purpose: str
    since: str

    @classmethod
    def here(cls, purpose: str) -> LockHolder:
        """This process, from now."""
        return cls(
            os.getpid(), socket.gethostname(), purpose, datetime.now(UTC).isoformat(timespec="seconds")
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.purpose}, since {self.since})"


class _Latch(Protocol):
    """The part of a lock that differs between catalogs."""

    def try_acquire(self, purpose: str) -> bool: ...
    def release(self) -> None: ...
    def holder(self) -> str: ...


class _FileLatch:
    """File lock with a sidecar that names its holder."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)
        self._sidecar = path.with_suffix(".holder.json")

    def try_acquire(self, purpose: str) -> bool:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        # Written after the lock is held and never removed: a stale file is only read while a process holds
        # the lock, and that process has overwritten it.
        partial = self._sidecar.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(json.dumps(asdict(LockHolder.here(purpose))))
        partial.replace(self._sidecar)
        return True

    def release(self) -> None:
        self._lock.release()

    def holder(self) -> str:
        try:
            return str(LockHolder(**json.loads(self._sidecar.read_text())))
        except (OSError, ValueError, TypeError):
            return "a process that has not written its name yet"


class _PostgresLatch:
    """Advisory lock of an open transaction; its holder's purpose is the connection's application name."""

    def __init__(self, config: LakeConfig) -> None:
        self._address = config.postgres
        # The lock belongs to one lake: two lakes in one database differ by where their files are.
        self._key = zlib.crc32(f"assay write lock {config.data_root}".encode())
        self._con: duckdb.DuckDBPyConnection | None = None

    def _connect(self, purpose: str) -> duckdb.DuckDBPyConnection:
        con = open_database(("postgres_scanner",), {"threads": 1, "memory_limit": "256MB"})
        holder = LockHolder.here(purpose)
        name = f"assay {holder.pid}@{holder.host}: {purpose}"[:63]
        try:
            for statement in self._address.attach_sql("catalog", application_name=name):
                con.execute(statement)
        except duckdb.Error:
            con.close()
            raise
        return con

    def try_acquire(self, purpose: str) -> bool:
        con = self._connect(purpose)
        con.execute("begin")
        row = con.execute(
            f"from postgres_query('catalog', 'select pg_try_advisory_xact_lock({self._key}) as held')"
        ).fetchone()
        if row is not None and row[0]:
            self._con = con
            return True
        con.close()
        return False

    def release(self) -> None:
        if self._con is not None:
            self._con.execute("rollback")
            self._con.close()
            self._con = None

    def holder(self) -> str:
        question = (
            "select a.application_name, a.xact_start::text "
            "from pg_locks l join pg_stat_activity a using (pid) "
            f"where l.locktype = ''advisory'' and l.granted and l.objid::bigint = {self._key}"
        )
        con = self._connect("find the lock's holder")
        try:
            row = con.execute(f"from postgres_query('catalog', '{question}')").fetchone()
        finally:
            con.close()
        return "a connection that has just ended" if row is None else f"{row[0]} (since {row[1]})"


class WriteLock:
    """The write lock of one lake: re-entrant per thread, exclusive between threads and processes."""

    def __init__(self, latch: _Latch) -> None:
        self._latch = latch
        self._thread_lock = threading.RLock()
        self._depth = 0
        self._purpose = ""

    @property
    def depth(self) -> int:
        """How many blocks hold it; asked by the thread that does."""
        return self._depth

    @contextmanager
    def held(self, purpose: str, timeout_s: float) -> Iterator[None]:
        """Hold the lock for the duration of the block.

        Args:
            purpose: What the holder is doing, in words that make sense in another process's log.
            timeout_s: How long to wait for another holder, in seconds.

        Raises:
            LakeLockedError: If it could not be had within the timeout; the message names the holder.
        """
        with ExitStack() as stack:
            if not self._thread_lock.acquire(timeout=timeout_s):
                raise LakeLockedError(
                    f"Waited {timeout_s:.0f} s for the lake's write lock; another thread here holds it "
                    f"({self._purpose}). Let it finish, or raise the lock timeout."
                )
            stack.callback(self._thread_lock.release)
            if self._depth == 0:
                self._wait(purpose, timeout_s)
                self._purpose = purpose
            self._depth += 1
            stack.callback(self._leave)
            yield

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._latch.release()

    def _wait(self, purpose: str, timeout_s: float) -> None:
        started = time.monotonic()
        announced = -ANNOUNCE_EVERY_S
        while not self._latch.try_acquire(purpose):
            waited = time.monotonic() - started
            if waited >= timeout_s:
                raise LakeLockedError(
                    f"Waited {waited:.0f} s for the lake's write lock to {purpose}; it is held by "
                    f"{self._latch.holder()}. Let it finish (or stop it), then run again; "
                    f"to wait longer, raise the lock timeout."
                )
            if waited - announced >= ANNOUNCE_EVERY_S:
                announced = waited
                logger.warning("Waiting for the lake's write lock, held by %s", self._latch.holder())
            time.sleep(POLL_S)


_locks: dict[str, WriteLock] = {}
_locks_guard = threading.Lock()


def write_lock(config: LakeConfig) -> WriteLock:
    """The write lock of a lake; one object per process, which is what makes it re-entrant."""
    key = f"{config.catalog_url} {config.data_root}" if config.is_postgres else str(config.folder.resolve())
    with _locks_guard:
        if key not in _locks:
            if config.is_postgres:
                latch: _Latch = _PostgresLatch(config)
            else:
                config.folder.mkdir(parents=True, exist_ok=True)
                latch = _FileLatch(config.folder / "write.lock")
            _locks[key] = WriteLock(latch)
        return _locks[key]
