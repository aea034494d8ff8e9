"""Incidents, each recorded once: raising, resolving and synchronising them.

Here: the calls that monitors make. They write a row and return; nothing is sent (`orchestration.alerts.delivery`).
The concept: an alert is a statement that is true or not. While it is true there is one open incident under its
key, however often it is found; when it is no longer true, the incident is resolved. `now` is wall-clock time.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ml.text.visible import visible
from orchestration.alerts.policy import AlertPolicy
from orchestration.alerts.store import Outbox, parse_stamp, stamp
from orchestration.output.commands import assay_command
from orchestration.output.masking import masked
from orchestration.states import IncidentState, NoticeKind, Severity

if TYPE_CHECKING:
    from orchestration.resources import Assay

_OPEN = f"state = '{IncidentState.OPEN}'"
_RUNBOOK = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Alert:
    """A problem.

    Attributes:
        key: What it is about; the same key is the same incident. Starts with the scope of its monitor:
            `slo/raw_sales_fresh`, `gate/cryptopunks`.
        severity: page, ticket or info.
        title: One line.
        body: What was found, with numbers.
        runbook: Name of its page in docs/runbook, without folder and ending: `run-failed`.
        command: What to type first.
        group: Alerts of one group that are found in one pass become one message. A plural phrase that follows
            a number: "collections failed the gate" gives "37 collections failed the gate".
        except_endpoint: Endpoint that must not get it: the one it is about.
    """

    key: str
    severity: Severity
    title: str
    body: str
    runbook: str
    command: str
    group: str | None = None
    except_endpoint: str | None = None

    @classmethod
    def of_collection(cls, key: str, name: str, what: str, body: str, runbook: str, group: str) -> Alert:
        """A ticket about one collection; `what` follows its name in the title."""
        title, command = f"{visible(name)} {what}", assay_command("why", name)
        return cls(key, Severity.TICKET, title, body, runbook, command, group)

    def __post_init__(self) -> None:
        """Make the texts fit to be stored, sent and printed, and refuse what could not be sent.

        One line of title, no half of a surrogate pair, no control character, no secret.

        Raises:
            ValueError: naming the field, what was expected and what was found.
        """
        for name in ("key", "title", "body", "command", "group"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, _writable(text))
        object.__setattr__(self, "title", visible(" ".join(self.title.split())))
        if self.severity not in set(Severity):
            raise ValueError(f"severity: expected one of {', '.join(Severity)}, found {self.severity!r}")
        object.__setattr__(self, "severity", Severity(self.severity))
        if not self.key.strip() or not self.title.strip() or not self.command.strip():
            raise ValueError(f"an alert needs a key, a title and a command, found {self!r}")
        if not _RUNBOOK.fullmatch(self.runbook):
            raise ValueError(
                f"runbook: expected the name of a page in docs/runbook, e.g. run-failed, found {self.runbook!r}"
            )


def _writable(text: str) -> str:
    return visible(masked(text.encode("utf-8", "replace").decode()), lines=True)


@dataclass(frozen=True)
class Synchronised:
    """What a synchronisation changed, as keys."""

    opened: tuple[str, ...]
    resolved: tuple[str, ...]


def raise_alert(outbox: Outbox, alert: Alert, now: datetime, policy: AlertPolicy | None = None) -> bool:
    """Open an incident, or count one more occurrence of the open one; returns whether it is new.

    To raise several alerts that belong together use `sync_alerts`: a delivery between two calls would split
    their group.

    Raises:
        OutboxError: the outbox cannot be written.
    """
    with outbox.transaction() as con:
        return _raise(con, alert, stamp(now), policy or AlertPolicy())


def resolve_alert(outbox: Outbox, key: str, now: datetime) -> bool:
    """Close the open incident of a key; returns whether there was one.

    Raises:
        OutboxError: the outbox cannot be written.
    """
    with outbox.transaction() as con:
        return _resolve(con, key, stamp(now))


def keep_incidents(assay: Assay, scope: str, alerts: Sequence[Alert]) -> Synchronised:
    """Make the open incidents of a scope in a home's outbox those that are true now (`sync_alerts`).

    Each stage does this itself, so that a stage that fails does not stop the alerts of another.
    """
    return sync_alerts(Outbox.of(assay.settings.home_path), scope, alerts, assay.clock.now())


def sync_alerts(
    outbox: Outbox,
    scope: str,
    alerts: Iterable[Alert],
    now: datetime,
    policy: AlertPolicy | None = None,
) -> Synchronised:
    """Make the open incidents of a scope those that are true now: open the new ones, resolve the rest.

    Args:
        outbox: Where.
        scope: What the caller has examined completely: its keys are `scope` itself and `scope/...`.
        alerts: All alerts that are true in it now. Empty: everything there is well.
        now: Wall-clock time.
        policy: Thresholds; only the quiet times matter here.

    Raises:
        ValueError: a key outside the scope, or twice.
        OutboxError: the outbox cannot be written.
    """
    found = list(alerts)
    keys = [alert.key for alert in found]
    outside = [key for key in keys if not _in_scope(key, scope)]
    if outside or len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(
            f"sync_alerts({scope!r}): expected keys that start with {scope}/, each once; "
            f"found outside it {outside}, twice {twice}"
        )
    at, thresholds = stamp(now), policy or AlertPolicy()
    with outbox.transaction() as con:
        open_keys = [row["key"] for row in con.execute(f"select key from incidents where {_OPEN}")]
        gone = [key for key in open_keys if _in_scope(key, scope) and key not in set(keys)]
        for key in gone:
            _resolve(con, key, at)
        opened = [alert.key for alert in found if _raise(con, alert, at, thresholds)]
    return Synchronised(tuple(opened), tuple(gone))


def _in_scope(key: str, scope: str) -> bool:
    return key == scope or key.startswith(f"{scope}/")


def _raise(con: sqlite3.Connection, alert: Alert, at: str, policy: AlertPolicy) -> bool:
    row = con.execute(
        f"select incident_id, severity, thread from incidents where key = ? and {_OPEN}", (alert.key,)
    ).fetchone()
    if row is not None:
        con.execute(
            "update incidents set occurrences = occurrences + 1, last_seen = ?, severity = ?, title = ?, body = ?, "
            "runbook = ?, command = ? where incident_id = ?",
            (at, alert.severity, *_texts(alert), row["incident_id"]),
        )
        if alert.severity.urgency < Severity(row["severity"]).urgency:
            # It got worse: the reminder is due now.
            con.execute(
                "update notices set severity = ?, next_reminder_at = ? where notice_id = ? and kind = ?",
                (alert.severity, at, row["thread"], NoticeKind.OPENED),
            )
        return False
    quiet_until, flaps = _flapping(con, alert, at, policy)
    con.execute(
        'insert into incidents (incident_id, key, severity, title, body, runbook, command, "group", '
        "except_endpoint, state, first_seen, last_seen, occurrences, quiet_until, flaps) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
        (
            uuid.uuid4().hex,
            alert.key,
            alert.severity,
            *_texts(alert),
            alert.group,
            alert.except_endpoint,
            IncidentState.OPEN,
            at,
            at,
            quiet_until,
            flaps,
        ),
    )
    return True


def _texts(alert: Alert) -> tuple[str, str, str, str]:
    return alert.title, alert.body, alert.runbook, alert.command


def _flapping(con: sqlite3.Connection, alert: Alert, at: str, policy: AlertPolicy) -> tuple[str | None, int]:
    """Until when a key that has come back is only watched, and how often it came back without a message."""
    last = con.execute(
        "select resolved_at, flaps, thread, quiet_until from incidents "
        "where key = ? and state = ? order by resolved_at desc limit 1",
        (alert.key, IncidentState.RESOLVED),
    ).fetchone()
    quiet = policy.quiet_after_recovery.get(alert.severity)
    if last is None or quiet is None:
        return None, 0
    until = stamp(parse_stamp(last["resolved_at"]) + quiet)
    if until <= at:
        return None, 0
    # The count goes on while nothing is sent, and starts again once something was.
    flaps = 1 if last["thread"] is not None else last["flaps"] + 1
    return (None if flaps >= policy.reported_flaps else until), flaps


def _resolve(con: sqlite3.Connection, key: str, at: str) -> bool:
    changed = con.execute(
        f"update incidents set state = ?, resolved_at = ?, last_seen = ? where key = ? and {_OPEN}",
        (IncidentState.RESOLVED, at, at, key),
    ).rowcount
    return changed > 0
