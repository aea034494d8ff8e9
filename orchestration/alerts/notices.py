"""What to say, to whom: turning incidents into notices.

Here: grouping, reminders, recoveries, and the words. Not here: sending (`delivery.py`).
The concept: an opening notice starts a thread. It covers every incident of one group that was found since the last
pass. While any of them is open it is repeated as a reminder; when all are resolved the thread is closed by one
recovery. So each incident is told once and its recovery once, whatever happens to the endpoints.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestration.alerts.outbox import SEVERITIES
from orchestration.alerts.policy import AlertPolicy
from orchestration.alerts.store import stamp

_LONGEST_BODY = 1_200
"""Characters. Short enough that runbook and command still fit where a service cuts (the strictest take 2,000)."""


@dataclass(frozen=True)
class Wording:
    """One notice in words."""

    severity: str
    title: str
    body: str
    runbook: str
    command: str
    keys: tuple[str, ...]


def plan(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    """Write the notices that are due, each with one delivery per endpoint; returns how many.

    Run it in one transaction: then two deliverers cannot say the same thing twice.
    """
    written = _open(con, endpoints, now, policy)
    written += _remind(con, endpoints, now, policy)
    written += _close(con, endpoints, stamp(now))
    return written


def _open(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    at = stamp(now)
    # What came back inside its quiet time is told only if it outlasts it. What came and went between two passes
    # is told, and then recovers, like everything else.
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
        _write(con, thread, thread, "opened", words, at, stamp(now + every) if every else None)
        con.executemany(
            "update incidents set thread = ? where incident_id = ?",
            [(thread, row["incident_id"]) for row in rows],
        )
        spared = {row["except_endpoint"] for row in rows}
        _address(con, thread, [endpoint for endpoint in endpoints if endpoint not in spared], at)
    return len(members)


def _remind(con: sqlite3.Connection, endpoints: Sequence[str], now: datetime, policy: AlertPolicy) -> int:
    at, written = stamp(now), 0
    for opening in con.execute(
        "select * from notices where kind = 'opened' and not is_closed and next_reminder_at <= ?", (at,)
    ).fetchall():
        thread = opening["notice_id"]
        members = _members(con, thread)
        still = [row for row in members if row["state"] == "open"]
        if not still:
            continue
        words = _reminder(still, len(members), policy)
        every = policy.reminder_every.get(words.severity)
        con.execute(
            "update notices set next_reminder_at = ?, severity = ? where notice_id = ?",
            (stamp(now + every) if every else None, words.severity, thread),
        )
        # Whoever has not even had the last message needs no reminder of it.
        heard = [
            row["endpoint"]
            for row in con.execute(
                "select d.endpoint from deliveries d join notices n using (notice_id) where n.thread = ? "
                "group by d.endpoint having sum(d.state in ('pending', 'sending')) = 0 and sum(d.state = 'sent') > 0",
                (thread,),
            )
            if row["endpoint"] in endpoints
        ]
        if heard:
            notice = uuid.uuid4().hex[:16]
            _write(con, notice, thread, "reminder", words, at, None)
            _address(con, notice, heard, at)
            written += 1
    return written


def _close(con: sqlite3.Connection, endpoints: Sequence[str], at: str) -> int:
    over = con.execute(
        "select n.* from notices n where n.kind = 'opened' and not n.is_closed and not exists "
        "(select 1 from incidents i where i.thread = n.notice_id and i.state = 'open')"
    ).fetchall()
    for opening in over:
        thread = opening["notice_id"]
        con.execute(
            "update notices set is_closed = 1, next_reminder_at = null where notice_id = ?", (thread,)
        )
        con.execute(
            "update deliveries set state = 'superseded' where state = 'pending' and notice_id in "
            "(select notice_id from notices where thread = ? and kind = 'reminder')",
            (thread,),
        )
        told = [
            row["endpoint"]
            for row in con.execute(
                "select endpoint from deliveries where notice_id = ? and state <> 'dead'", (thread,)
            )
            if row["endpoint"] in endpoints
        ]
        notice = uuid.uuid4().hex[:16]
        _write(con, notice, thread, "resolved", _recovery(opening, _members(con, thread)), at, None)
        _address(con, notice, told, at)
    return len(over)


def _members(con: sqlite3.Connection, thread: str) -> list[sqlite3.Row]:
    return con.execute(
        "select * from incidents where thread = ? order by first_seen, key", (thread,)
    ).fetchall()


def _write(
    con: sqlite3.Connection, notice: str, thread: str, kind: str, words: Wording, at: str, next_at: str | None
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
        "values (?, ?, ?, 'pending', ?, ?)",
        [(f"{notice}-{endpoint}", notice, endpoint, at, at) for endpoint in endpoints],
    )


def _opening(rows: list[sqlite3.Row], policy: AlertPolicy) -> Wording:
    words = _summary(rows, policy, len(rows))
    flaps = max(row["flaps"] for row in rows)
    if flaps:
        words = _with_body(words, f"{words.body}\nIt has come back {flaps} time(s) since it was last told.")
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
        severity=opening["severity"],
        title=opening["title"],
        body=f"No longer true. It lasted from {since[:19]} to {until[:19]} UTC.",
        runbook=opening["runbook"],
        command=opening["command"],
        keys=tuple(row["key"] for row in rows),
    )


def _summary(rows: list[sqlite3.Row], policy: AlertPolicy, members: int) -> Wording:
    """One incident in its own words; several as their number and the first of them."""
    worst = min(rows, key=lambda row: SEVERITIES.index(row["severity"]))
    keys = tuple(row["key"] for row in rows)
    if members == 1:
        title, body = worst["title"], worst["body"]
    else:
        count = f"{len(rows)}" if len(rows) == members else f"{len(rows)} of {members}"
        title = f"{count} {worst['group']}"
        first = [f"- {row['title']}" for row in rows[: policy.names_shown]]
        more = len(rows) - len(first)
        body = "\n".join([*first, *([f"and {more} more: assay alerts list"] if more else [])])
    words = Wording(
        worst["severity"], title, body, f"docs/runbook/{worst['runbook']}.md", worst["command"], keys
    )
    return _with_body(words, body)


def _with_body(words: Wording, body: str) -> Wording:
    cut = body if len(body) <= _LONGEST_BODY else body[: _LONGEST_BODY - 1] + "…"
    return Wording(words.severity, words.title, cut, words.runbook, words.command, words.keys)
