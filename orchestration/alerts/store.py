"""The outbox file: one SQLite database in the home, opened for one transaction at a time.

Here: its tables, transactions and timestamps. Not here: what is written into it (`orchestration.alerts.outbox`,
`orchestration.alerts.notices`, `orchestration.alerts.delivery`). It is not the lake: the lake has one writer and must
not be needed to report that it is broken (docs/adr/0017-alert-outbox.md).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lake.storage import sql_list
from orchestration.alerts.errors import OutboxError
from orchestration.clock import naive_utc
from orchestration.states import DeliveryState, IncidentState, NoticeKind

OUTBOX_FILE = "alerts.db"

OPEN_BY_SEVERITY = (
    f"select severity, count(*) as n from incidents where state = '{IncidentState.OPEN}' group by severity"
)
"""How many incidents are open, by severity."""


BUSY_TIMEOUT_S = 10.0
"""How long a transaction waits for another one. Transactions take milliseconds; nothing is sent inside one."""

# An incident is one period in which an alert was true. A notice is one message about one or more
# incidents; `thread` is the opening notice it belongs to. A delivery is one notice to one endpoint.
_TABLES = f"""
create table if not exists incidents (
    incident_id text primary key,
    key text not null,
    severity text not null,
    title text not null,
    body text not null,
    runbook text not null,
    command text not null,
    "group" text,
    except_endpoint text,
    state text not null check (state in {sql_list(IncidentState)}),
    first_seen text not null,
    last_seen text not null,
    resolved_at text,
    occurrences integer not null,
    quiet_until text,
    flaps integer not null default 0,
    thread text
);
create unique index if not exists one_open_incident_per_key on incidents (key) where state = '{IncidentState.OPEN}';
create index if not exists incidents_by_key on incidents (key, resolved_at);
create index if not exists incidents_by_thread on incidents (thread);
create table if not exists notices (
    notice_id text primary key,
    thread text not null,
    kind text not null check (kind in {sql_list(NoticeKind)}),
    severity text not null,
    title text not null,
    body text not null,
    runbook text not null,
    command text not null,
    keys text not null,
    created_at text not null,
    next_reminder_at text,
    is_closed integer not null default 0
);
create index if not exists open_notices on notices (is_closed, kind);
create table if not exists deliveries (
    delivery_id text primary key,
    notice_id text not null references notices (notice_id),
    endpoint text not null,
    state text not null check (state in {sql_list(DeliveryState)}),
    attempts integer not null default 0,
    claims integer not null default 0,
    next_attempt_at text not null,
    lease_until text,
    claimed_by text,
    last_error text,
    created_at text not null,
    sent_at text,
    unique (notice_id, endpoint)
);
create index if not exists deliveries_waiting on deliveries (endpoint, state, next_attempt_at);
create table if not exists endpoints (
    endpoint text primary key,
    label text not null,
    blocked_until text,
    last_error text,
    failing_since text,
    last_sent_at text
);
create table if not exists passes (name text primary key, at text not null);
create table if not exists automations (name text primary key);
"""


class Outbox:
    """The outbox of one home. Holds no connection: safe to share between threads and after a fork."""

    def __init__(self, path: Path) -> None:
        """Create the file and its tables when missing.

        Raises:
            OutboxError: the file is not a readable SQLite database, or its folder cannot be written.
        """
        self.path = path
        with self.transaction() as con:
            for statement in _TABLES.split(";"):
                con.execute(statement)

    @classmethod
    def of(cls, home: Path) -> Outbox:
        """The outbox of a home."""
        return cls(home / OUTBOX_FILE)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of the block or nothing, also when the process is killed in it.

        Raises:
            OutboxError: the file is damaged, locked for longer than `BUSY_TIMEOUT_S`, or cannot be written.
        """
        try:
            con = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except sqlite3.Error as error:
            raise self._explained(error) from error
        try:
            con.row_factory = sqlite3.Row
            con.execute("pragma journal_mode = wal")
            con.execute("begin immediate")
            yield con
            con.execute("commit")
        except sqlite3.Error as error:
            raise self._explained(error) from error
        finally:
            # Closing without a commit rolls back.
            con.close()

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """The result of one query."""
        with self.transaction() as con:
            return con.execute(sql, parameters).fetchall()

    def remember_automations(self, names: Iterable[str]) -> None:
        """Keep which sensors and schedules the code has.

        The watchdog must not load the code to know: a name that only Dagster's storage still has was removed or
        renamed, and does not tick any more for a good reason.
        """
        with self.transaction() as con:
            con.execute("delete from automations")
            con.executemany("insert into automations (name) values (?)", [(name,) for name in set(names)])

    def _explained(self, error: sqlite3.Error) -> OutboxError:
        if isinstance(error, sqlite3.OperationalError):
            return OutboxError(
                f"The alert outbox {self.path} cannot be used: {error}. Expected a writable file on a disk with "
                "free space that no other process holds for long; see docs/runbook/alert-delivery-dead.md."
            )
        return OutboxError(
            f"The alert outbox {self.path} is damaged: {error}. Move it and its -wal and -shm files away "
            "(`mv`, to keep them for inspection); a new one is made at once, and the monitors raise again what is "
            "still true. See docs/runbook/alert-delivery-dead.md."
        )


def stamp(at: datetime) -> str:
    """A time as text that sorts by time: naive UTC with microseconds."""
    return naive_utc(at).isoformat(timespec="microseconds")


def parse_stamp(text: str) -> datetime:
    """The time (naive UTC) that `stamp` wrote."""
    return datetime.fromisoformat(text)
