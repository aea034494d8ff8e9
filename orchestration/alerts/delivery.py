"""Sending what is due, under one id per endpoint, so that a repeat can be recognised.

Here: one delivery pass: plan, claim, send, record. Not here: the words (`orchestration.alerts.notices`), the endpoints
(`orchestration.alerts.channels`). A message is claimed with a lease before it is sent and recorded after. A deliverer
that is killed in between leaves a claim that runs out, and the next one sends the same message under the same id.
Nothing is held open while sending, and each endpoint is served by a thread of its own, so that one that hangs does not
delay the others.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from lake.storage import sql_list
from orchestration.alerts.channels import Channel, Message, Outcome, endpoints
from orchestration.alerts.notices import plan
from orchestration.alerts.outbox import Alert, raise_alert, resolve_alert
from orchestration.alerts.policy import AlertPolicy
from orchestration.alerts.store import Outbox, stamp
from orchestration.states import (
    UNDELIVERED,
    DeliveryState,
    IncidentState,
    NoticeKind,
    SendResult,
    Severity,
)

logger = logging.getLogger(__name__)

DELIVERY_PASS = "delivery"
"""Name under which a pass leaves its time, for the watchdog."""

_DUE = f"""
select d.delivery_id
from deliveries d join notices n using (notice_id)
where d.endpoint = :endpoint
    and ((d.state = '{DeliveryState.PENDING}' and d.next_attempt_at <= :at)
        or (d.state = '{DeliveryState.SENDING}' and d.lease_until <= :at))
    -- In order within a thread: a recovery never overtakes its alert.
    and not exists (
        select 1 from deliveries e join notices m using (notice_id)
        where e.endpoint = d.endpoint and m.thread = n.thread and m.rowid < n.rowid
            and e.state in {sql_list(UNDELIVERED)}
    )
order by {Severity.order_sql("n.severity")}, d.attempts, n.created_at, n.rowid
limit 1
"""


@dataclass(frozen=True)
class DeliveryReport:
    """What one pass did, over all endpoints, in messages."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0


def deliver(
    outbox: Outbox, channels: Sequence[Channel], now: datetime, policy: AlertPolicy | None = None
) -> DeliveryReport:
    """Write the notices that are due and try every message that is due, once.

    Call it every minute, from anywhere: passes that run at the same time do not send anything twice.

    Args:
        outbox: The messages.
        channels: Every endpoint that is configured.
        now: Wall-clock time, naive UTC.
        policy: Thresholds.

    Raises:
        OutboxError: the outbox cannot be used. What was sent before stays claimed, and goes again under its id.
    """
    thresholds = policy or AlertPolicy()
    known = endpoints(channels)
    with outbox.transaction() as con:
        con.executemany(
            "insert into endpoints (endpoint, label) values (?, ?) "
            "on conflict (endpoint) do update set label = excluded.label",
            list(known.items()),
        )
        plan(con, list(known), now, thresholds)
        con.execute(
            "insert into passes (name, at) values (?, ?) on conflict (name) do update set at = excluded.at",
            (DELIVERY_PASS, stamp(now)),
        )
        _forget(con, now, thresholds)
    with ThreadPoolExecutor(max(1, len(channels)), thread_name_prefix="alerts") as threads:
        reports = list(threads.map(lambda channel: _serve(outbox, channel, now, thresholds), channels))
    return DeliveryReport(
        sent=sum(report.sent for report in reports),
        failed=sum(report.failed for report in reports),
        given_up=sum(report.given_up for report in reports),
    )


def _serve(outbox: Outbox, channel: Channel, now: datetime, policy: AlertPolicy) -> DeliveryReport:
    """Send what is due at one endpoint until nothing is, the endpoint is in trouble, or the time is up."""
    started, sent, failed, given_up = time.monotonic(), 0, 0, 0
    while time.monotonic() - started < policy.pass_budget.total_seconds():
        claim = _claim(outbox, channel, now, policy)
        if claim is None:
            break
        message, claimed_by, is_repeat = claim
        outcome = _attempt(channel, message, is_repeat=is_repeat)
        is_given_up = _record(outbox, channel, message, claimed_by, outcome, now, policy)
        if outcome.result == SendResult.SENT:
            sent += 1
        else:
            failed, given_up = failed + 1, given_up + is_given_up
            if outcome.result == SendResult.THROTTLED or failed >= policy.failures_per_pass:
                break
    if given_up:
        raise_alert(outbox, _dead_letter(channel, given_up), now, policy)
    elif sent:
        resolve_alert(outbox, f"alerting/dead-letter/{channel.endpoint}", now)
    return DeliveryReport(sent, failed, given_up)


def _claim(
    outbox: Outbox, channel: Channel, now: datetime, policy: AlertPolicy
) -> tuple[Message, str, bool] | None:
    """Take the most urgent message that is due: no other pass gets it until the lease ends."""
    at, claimed_by = stamp(now), uuid.uuid4().hex
    with outbox.transaction() as con:
        blocked = con.execute(
            "select 1 from endpoints where endpoint = ? and blocked_until > ?", (channel.endpoint, at)
        ).fetchone()
        due = con.execute(_DUE, {"endpoint": channel.endpoint, "at": at}).fetchone()
        if blocked or due is None:
            return None
        # An attempt whose deliverer was killed counts: a message that crashes its sender must be given up too.
        con.execute(
            f"update deliveries set attempts = attempts + (state = '{DeliveryState.SENDING}'), claims = claims + 1, "
            f"state = '{DeliveryState.SENDING}', lease_until = ?, claimed_by = ? where delivery_id = ?",
            (stamp(now + policy.lease), claimed_by, due["delivery_id"]),
        )
        row = con.execute(
            "select d.claims, n.* from deliveries d join notices n using (notice_id) where d.delivery_id = ?",
            (due["delivery_id"],),
        ).fetchone()
    message = Message(
        delivery_id=due["delivery_id"],
        incident=row["thread"],
        kind=row["kind"],
        severity=row["severity"],
        title=row["title"],
        body=row["body"],
        runbook=row["runbook"],
        command=row["command"],
        keys=tuple(json.loads(row["keys"])),
        created_at=row["created_at"],
    )
    return message, claimed_by, row["claims"] > 1


def _attempt(channel: Channel, message: Message, *, is_repeat: bool) -> Outcome:
    try:
        return channel.send(message, is_repeat=is_repeat)
    except Exception as error:  # whatever a service's code raises is a failed attempt
        logger.warning("%s failed on %s", channel.label, message.delivery_id, exc_info=error)
        return Outcome(SendResult.FAILED, type(error).__name__)


def _record(
    outbox: Outbox,
    channel: Channel,
    message: Message,
    claimed_by: str,
    outcome: Outcome,
    now: datetime,
    policy: AlertPolicy,
) -> bool:
    """Write the result of an attempt; returns whether the message was given up."""
    at = stamp(now)
    with outbox.transaction() as con:
        if outcome.result == SendResult.SENT:
            # Also when the claim had run out: it has arrived.
            con.execute(
                "update deliveries set state = ?, sent_at = ?, last_error = null where delivery_id = ?",
                (DeliveryState.SENT, at, message.delivery_id),
            )
            con.execute(
                "update endpoints set last_sent_at = ?, last_error = null, failing_since = null, blocked_until = null "
                "where endpoint = ?",
                (at, channel.endpoint),
            )
            return False
        row = con.execute(
            "select attempts, created_at from deliveries where delivery_id = ? and claimed_by = ?",
            (message.delivery_id, claimed_by),
        ).fetchone()
        if row is None:
            return False
        # Throttling is about the endpoint, not about this message.
        attempts = row["attempts"] + (outcome.result != SendResult.THROTTLED)
        wait = policy.backoff(message.delivery_id, max(1, attempts))
        if outcome.retry_after is not None:
            wait = max(wait, min(outcome.retry_after, policy.throttled_longest))
        limit = policy.attempts_rejected if outcome.result == SendResult.REJECTED else policy.attempts_failing
        is_given_up = attempts >= limit or row["created_at"] <= stamp(now - policy.undelivered_longest)
        con.execute(
            "update deliveries set state = ?, attempts = ?, next_attempt_at = ?, last_error = ? where delivery_id = ?",
            (
                DeliveryState.DEAD if is_given_up else DeliveryState.PENDING,
                attempts,
                stamp(now + wait),
                outcome.detail,
                message.delivery_id,
            ),
        )
        con.execute(
            "update endpoints set last_error = ?, failing_since = coalesce(failing_since, ?), "
            "blocked_until = ? where endpoint = ?",
            (
                outcome.detail,
                at,
                stamp(now + wait) if outcome.result == SendResult.THROTTLED else None,
                channel.endpoint,
            ),
        )
        if is_given_up and message.kind == NoticeKind.OPENED:
            # An endpoint that did not get the alert does not get its recovery.
            con.execute(
                f"update deliveries set state = '{DeliveryState.SUPERSEDED}' where endpoint = ? "
                f"and state = '{DeliveryState.PENDING}' and notice_id in "
                "(select notice_id from notices where thread = ?)",
                (channel.endpoint, message.incident),
            )
    return is_given_up


def _dead_letter(channel: Channel, given_up: int) -> Alert:
    return Alert(
        key=f"alerting/dead-letter/{channel.endpoint}",
        severity=Severity.PAGE,
        title=f"{channel.label} does not take alerts",
        body=f"{given_up} message(s) were given up after all attempts. They are kept in the outbox.",
        runbook="alert-delivery-dead",
        command="assay alerts list",
        except_endpoint=channel.endpoint,
    )


def _forget(con: sqlite3.Connection, now: datetime, policy: AlertPolicy) -> None:
    """Remove what has been over for longer than the retention."""
    before = stamp(now - policy.retention)
    over = "select notice_id from notices where is_closed and created_at < ?"
    threads = [row["notice_id"] for row in con.execute(over, (before,))]
    for thread in threads:
        con.execute(
            "delete from deliveries where notice_id in (select notice_id from notices where thread = ?)",
            (thread,),
        )
        con.execute("delete from incidents where thread = ?", (thread,))
        con.execute("delete from notices where thread = ?", (thread,))
    # Came back inside their quiet time and ended again: no message was sent.
    con.execute(
        f"delete from incidents where state = '{IncidentState.RESOLVED}' and thread is null and resolved_at < ?",
        (before,),
    )


def retry_dead(outbox: Outbox, now: datetime) -> int:
    """Give every dead letter its attempts back; returns how many. For when an endpoint has been repaired."""
    at = stamp(now)
    with outbox.transaction() as con:
        # Its age counts from now: an old message would be given up at its first failure.
        return con.execute(
            "update deliveries set state = ?, attempts = 0, next_attempt_at = ?, created_at = ? where state = ?",
            (DeliveryState.PENDING, at, at, DeliveryState.DEAD),
        ).rowcount
