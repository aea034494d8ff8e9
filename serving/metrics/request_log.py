"""Requests by minute and route, in a small SQLite file: what the service levels of the API are measured from.

Here: its tables, one write a minute (`Recorder`), and who started and stopped. Not here: judging (`orchestration.slo`).

Concept: the counters of Prometheus are in memory, and somebody must ask for them. Service levels are judged by the
pipeline, hours later, also when the server has crashed. So each worker writes once a minute, from a thread of its own,
what its counters grew by; nothing happens for a request. A minute in which no worker wrote is one in which nobody
answered. A server that ends in an orderly way says so; one that does not was expected to go on.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.metrics.requests import RequestMetrics, RouteTotals

FILE = "requests.sqlite"
KEEP_S = 40 * 86_400
"""Longer than the window of an error budget, 30 days."""

ALIVE = ""
"""Route of the row that says that a worker was there in a minute."""

HUNG_AFTER_S = 30.0
"""An event loop that did not run for so long answers nobody."""

_BUSY_TIMEOUT_S = 10.0
_TABLES = """
create table if not exists servers (
    server text primary key, address text not null, started_at real not null, stopped_at real
) without rowid;
create table if not exists minutes (
    minute integer not null, server text not null, worker integer not null, route text not null,
    requests integer not null, errors integer not null,
    within_10ms integer not null, within_100ms integer not null, within_1s integer not null,
    primary key (minute, server, worker, route)
) without rowid;
"""
_ADD = """
insert into minutes values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set requests = requests + excluded.requests, errors = errors + excluded.errors,
    within_10ms = within_10ms + excluded.within_10ms, within_100ms = within_100ms + excluded.within_100ms,
    within_1s = within_1s + excluded.within_1s
"""
_log = logging.getLogger("assay.api")


@dataclass(frozen=True)
class Server:
    """One start of the API.

    Attributes:
        id: Its name; never used twice.
        address: Host and port: whoever starts there next replaces it.
        started_at: Seconds since 1970.
    """

    id: str
    address: str
    started_at: float


class RequestLog:
    """The file. It is opened for one transaction at a time; several processes may write.

    Args:
        path: Where; made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, server: Server) -> None:
        """A server answers from now on; saying it twice changes nothing."""
        with self._transaction() as con:
            con.execute(
                "insert or ignore into servers values (?, ?, ?, null)",
                (server.id, server.address, server.started_at),
            )

    def stop(self, server: Server, at: float) -> None:
        """A server has ended in an orderly way; nothing if it never answered. What cannot be written is logged."""
        if not self.path.exists():
            return
        try:
            with self._transaction() as con:
                con.execute("update servers set stopped_at = ? where server = ?", (at, server.id))
        except (sqlite3.Error, OSError):
            _log.exception(
                "the request log %s cannot be written: this stop will look like a crash", self.path
            )

    def add(self, server: Server, worker: int, minute: int, grown: dict[str, RouteTotals]) -> None:
        """A worker was there in a minute, and this is what it answered.

        Args:
            server: Its server.
            worker: Its number.
            minute: Start of the minute, seconds since 1970.
            grown: Requests by route.
        """
        rows = [(minute, server.id, worker, ALIVE, 0, 0, 0, 0, 0)]
        # A request that was just being counted may be in one counter only.
        rows += [
            (minute, server.id, worker, route, one.requests, min(one.errors, one.requests), *one.within)  # type: ignore[misc]
            for route, one in grown.items()
        ]
        with self._transaction() as con:
            con.executemany(_ADD, rows)
            con.execute("delete from minutes where minute < ?", (minute - KEEP_S,))
            con.execute(
                "delete from servers where started_at < ?1 and server not in (select server from minutes)"
                " and exists (select 1 from servers s where s.address = servers.address"
                " and s.started_at > servers.started_at)",
                (minute - KEEP_S,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        con = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            con.executescript(_TABLES)
            con.execute("begin immediate")
            yield con
            con.execute("commit")
        finally:
            con.close()


class Recorder:
    """Writes what a worker's counters grew by, once a minute, in a thread.

    Args:
        log: Where to.
        server: Its server.
        worker: Its number.
        metrics: Its counters.
        is_alive: Whether its event loop still runs: one that does not answers nobody.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        log: RequestLog,
        server: Server,
        worker: int,
        metrics: RequestMetrics,
        is_alive: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log, self._server, self._worker = log, server, worker
        self._metrics, self._is_alive, self._clock = metrics, is_alive, clock
        self._written = metrics.totals()
        self._minute = _start_of_minute(clock())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._try(lambda: self._log.begin(self._server))
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        self._ended.set()
        self._thread.join(_BUSY_TIMEOUT_S)
        self.record()

    def record(self) -> None:
        """Write what was counted since the last time, under the minute in which that was."""
        minute, self._minute = self._minute, _start_of_minute(self._clock())
        if not self._is_alive():
            return
        now = self._metrics.totals()
        grown = {route: one.minus(self._written.get(route)) for route, one in now.items()}

        def write() -> None:
            self._log.add(
                self._server, self._worker, minute, {r: one for r, one in grown.items() if one.requests}
            )
            self._written = now

        self._try(write)

    def _run(self) -> None:
        while not self._ended.wait(60.0 - self._clock() % 60.0):
            self.record()

    def _try(self, write: Callable[[], None]) -> None:
        """What cannot be written now is written with the next minute; the API answers meanwhile."""
        try:
            write()
        except (sqlite3.Error, OSError):
            _log.exception("the request log %s cannot be written", self._log.path)


def _start_of_minute(at: float) -> int:
    return int(at // 60) * 60
