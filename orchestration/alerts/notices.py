"""Which messages go to which endpoints: turning incidents into notices.

Here: grouping, reminders, recoveries, and the texts. Not here: sending (`orchestration.alerts.delivery`).
The concept: an opening notice starts a thread. It covers every incident of one group that was found since the last
pass. While any of them is open it is repeated as a reminder; when all are resolved the thread is closed by one
recovery. So each incident is sent once and its recovery once, whatever happens to the endpoints.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lake.storage import sql_list
from ml.text.visible import shortened
from orchestration.alerts.policy import AlertPolicy
from orchestration.alerts.store import stamp
from orchestration.states import UNDELIVERED, DeliveryState, IncidentState, NoticeKind, Severity

_LONGEST_BODY = 1_200
"""Characters. Short enough that runbook and command still fit where a service cuts (the strictest take 2,000)."""


@dataclass(frozen=True)
class Wording:
    """The text of one notice."""

    severity: Severity
    title: str
    body: str
    runbook: str
    command: str
    keys: tuple[str, ...]


def plan(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    """Write the notices that are due, each with one delivery per endpoint; returns how many.

    Run it in one transaction: then two deliverers cannot write the same notice twice.
    """
    written = _open(con, endpoints, now, policy)
    written += _remind(con, endpoints, now, policy)
    written += _close(con, endpoints, stamp(now))
    return written


def _open(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    at = stamp(now)
    # An incident that came back inside its quiet time is sent only if it outlasts it. One that began and ended between
    # two passes is sent, and then recovers, like any other.
    due = con.execute(
        "select * from incidents where thread is null "
        "and (quiet_until is null or quiet_until <= coalesce(resolved_at, ?)) order by first_seen, key",
        (at,),
    ).fetchall()
    members: dict[str, list[sqlite3.Row]] = {}
    for row in due:
        members.setdefault(f"group {row['group']}" if row["group"] else row["incident_id"], []).append(row)
    for rows in members.values():
        words = _opening(rows, policy)
        thread = uuid.uuid4().hex[:16]
        every = policy.reminder_every.get(words.severity)
        _write(con, thread, thread, NoticeKind.OPENED, words, at, stamp(now + every) if every else None)
        con.executemany(
            "update incidents set thread = ? where incident_id = ?",
            [(thread, row["incident_id"]) for row in rows],
        )
        excepted = {row["except_endpoint"] for row in rows}
        _address(con, thread, [endpoint for endpoint in endpoints if endpoint not in excepted], at)
    return len(members)


def _remind(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    at, written = stamp(now), 0
    for opening in con.execute(
        "select * from notices where kind = ? and not is_closed and next_reminder_at <= ?",
        (NoticeKind.OPENED, at),
    ).fetchall():
        thread = opening["notice_id"]
        members = _members(con, thread)
        still = [row for row in members if row["state"] == IncidentState.OPEN]
        if not still:
            continue
        words = _reminder(still, len(members), policy)
        every = policy.reminder_every.get(words.severity)
        con.execute(
            "update notices set next_reminder_at = ?, severity = ? where notice_id = ?",
            (stamp(now + every) if every else None, words.severity, thread),
        )
        # An endpoint that has not got the last message yet needs no reminder of it.
        reached = [
            row["endpoint"]
            for row in con.execute(
                "select d.endpoint from deliveries d join notices n using (notice_id) where n.thread = ? "
                f"group by d.endpoint having sum(d.state in {sql_list(UNDELIVERED)}) = 0 "
                f"and sum(d.state = '{DeliveryState.SENT}') > 0",
                (thread,),
            )
            if row["endpoint"] in endpoints
        ]
        if reached:
            notice = uuid.uuid4().hex[:16]
            _write(con, notice, thread, NoticeKind.REMINDER, words, at, None)
            _address(con, notice, reached, at)
            written += 1
    return written


def _close(con: sqlite3.Connection, endpoints: Sequence[str], at: str) -> int:
    over = con.execute(
        f"select n.* from notices n where n.kind = '{NoticeKind.OPENED}' and not n.is_closed and not exists "
        f"(select 1 from incidents i where i.thread = n.notice_id and i.state = '{IncidentState.OPEN}')"
    ).fetchall()
    for opening in over:
        thread = opening["notice_id"]
        con.execute(
            "update notices set is_closed = 1, next_reminder_at = null where notice_id = ?", (thread,)
        )
        con.execute(
            f"update deliveries set state = '{DeliveryState.SUPERSEDED}' where state = '{DeliveryState.PENDING}' "
            "and notice_id in (select notice_id from notices where thread = ? and kind = ?)",
            (thread, NoticeKind.REMINDER),
        )
        reached = [
            row["endpoint"]
            for row in con.execute(
                "select endpoint from deliveries where notice_id = ? and state <> ?",
                (thread, DeliveryState.DEAD),
            )
            if row["endpoint"] in endpoints
        ]
        notice = uuid.uuid4().hex[:16]
        _write(con, notice, thread, NoticeKind.RESOLVED, _recovery(opening, _members(con, thread)), at, None)
        _address(con, notice, reached, at)
    return len(over)


def _members(con: sqlite3.Connection, thread: str) -> list[sqlite3.Row]:
    return con.execute(
        "select * from incidents where thread = ? order by first_seen, key", (thread,)
    ).fetchall()


def _write(
    con: sqlite3.Connection,
    notice: str,
    thread: str,
    kind: NoticeKind,
    words: Wording,
    at: str,
    next_at: str | None,
) -> None:
    con.execute(
        "insert into notices (notice_id, thread, kind, severity, title, body, runbook, command, keys, created_at, "
        "next_reminder_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            notice,
            thread,
            kind,
            words.severity,
            words.title,
            words.body,
            words.runbook,
            words.command,
            json.dumps(words.keys, ensure_ascii=False),
            at,
            next_at,
        ),
    )


def _address(con: sqlite3.Connection, notice: str, endpoints: Iterable[str], at: str) -> None:
    con.executemany(
        "insert into deliveries (delivery_id, notice_id, endpoint, state, next_attempt_at, created_at) "
        "values (?, ?, ?, ?, ?, ?)",
        [(f"{notice}-{endpoint}", notice, endpoint, DeliveryState.PENDING, at, at) for endpoint in endpoints],
    )


def _opening(rows: list[sqlite3.Row], policy: AlertPolicy) -> Wording:
    words = _summary(rows, policy, len(rows))
    flaps = max(row["flaps"] for row in rows)
    if flaps:
        words = _with_body(words, f"{words.body}\nIt has come back {flaps} time(s) since the last message.")
    return words


def _reminder(still: list[sqlite3.Row], members: int, policy: AlertPolicy) -> Wording:
    words = _summary(still, policy, members)
    since = min(row["first_seen"] for row in still)
    found = sum(row["occurrences"] for row in still)
    return _with_body(words, f"{words.body}\nOpen since {since[:19]} UTC, found {found} time(s).")


def _recovery(opening: sqlite3.Row, rows: list[sqlite3.Row]) -> Wording:
    since = min(row["first_seen"] for row in rows)
    until = max(row["resolved_at"] for row in rows)
    return Wording(
        severity=Severity(opening["severity"]),
        title=opening["title"],
        body=f"No longer true. It lasted from {since[:19]} to {until[:19]} UTC.",
        runbook=opening["runbook"],
        command=opening["command"],
        keys=tuple(row["key"] for row in rows),
    )


def _summary(rows: list[sqlite3.Row], policy: AlertPolicy, members: int) -> Wording:
    """One incident with its own text; several as their number and the first of them."""
    worst = min(rows, key=lambda row: Severity(row["severity"]).urgency)
    if members == 1:
        title, body = worst["title"], worst["body"]
    else:
        count = f"{len(rows)}" if len(rows) == members else f"{len(rows)} of {members}"
        title = f"{count} {worst['group']}"
        first = [f"- {row['title']}" for row in rows[: policy.names_shown]]
        more = len(rows) - len(first)
        body = "\n".join([*first, *([f"and {more} more: assay alerts list"] if more else [])])
    return Wording(
        Severity(worst["severity"]),
        title,
        shortened(body, _LONGEST_BODY),
        f"docs/runbook/{worst['runbook']}.md",
        worst["command"],
        tuple(row["key"] for row in rows),
    )


def _with_body(words: Wording, body: str) -> Wording:
    return replace(words, body=shortened(body, _LONGEST_BODY))
