"""One pass over a scratch home: what the hourly schedule does, then the monitoring pass, then delivery.

Here: the order, and what the pass changed in the outbox. Not here: any of the work.
Alerts live in wall-clock time. A drill lets a day pass in seconds, so the wall clock of its outbox is market time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestration.alerts.channels import Channel, open_channels
from orchestration.alerts.delivery import deliver
from orchestration.alerts.policy import policy_of
from orchestration.alerts.store import Outbox, stamp

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.resources import Assay
    from orchestration.settings import Settings

DELIVERY_EVERY = timedelta(minutes=1)
"""The delivery sensor looks this often: what a pass raised leaves within it."""


@dataclass(frozen=True)
class Incident:
    """An incident as the outbox keeps it; times are the drill's clock (market time)."""

    key: str
    severity: str
    title: str
    runbook: str
    command: str
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True)
class Pass:
    """What one pass did.

    Attributes:
        now: Market time: everything known before it was ingested.
        opened: Incidents it opened.
        resolved: Keys of incidents it resolved.
        trained: Training decisions by action, of what was due by schedule.
        retrained: Collections that were trained out of turn, because the pass queued them.
        seconds: Wall-clock time it took.
    """

    now: datetime
    opened: tuple[Incident, ...]
    resolved: tuple[str, ...]
    trained: dict[str, int]
    retrained: tuple[str, ...]
    seconds: float


def run_pass(
    settings: Settings, instance: dg.DagsterInstance, channels: Sequence[Channel] | None = None
) -> Pass:
    """Ingest, build, train what is due, score; monitor; deliver; train what the monitoring pass has queued."""
    from orchestration.monitor import monitor_pass
    from orchestration.pipeline import run_everything
    from orchestration.resources import Assay

    began = time.monotonic()
    # Its own monitoring pass would tell the outbox the time on the wall.
    summary = run_everything(settings, instance, watch=False)
    assay, outbox = Assay(settings), Outbox.of(settings.home_path)
    now = assay.horizon
    monitor_pass(assay, instance, outbox, now, alerted_at=now)
    _tell_failed_checks(settings, instance, outbox, now)
    chosen = open_channels(settings) if channels is None else channels
    deliver(outbox, chosen, now + DELIVERY_EVERY, policy_of(settings))
    retrained = _train_what_waits(assay, instance, now)
    opened = [incident for incident in incidents(outbox) if incident.opened_at == now]
    resolved = outbox.rows("select key from incidents where resolved_at = ? order by key", stamp(now))
    return Pass(
        now,
        tuple(opened),
        tuple(row["key"] for row in resolved),
        summary.trained,
        retrained,
        time.monotonic() - began,
    )


def _tell_failed_checks(
    settings: Settings, instance: dg.DagsterInstance, outbox: Outbox, now: datetime
) -> None:
    """What the sensor of failed checks does."""
    from orchestration.alerts.dagster_events import CHECK_SCOPE, check_alerts
    from orchestration.alerts.outbox import sync_alerts
    from orchestration.definitions import build_defs

    keys = build_defs(settings).get_repository_def().asset_graph.asset_check_keys
    sync_alerts(outbox, CHECK_SCOPE, check_alerts(instance, keys), now)


def _train_what_waits(assay: Assay, instance: dg.DagsterInstance, now: datetime) -> tuple[str, ...]:
    """What the sensor `retrain_drifted` does: one run for what the queue holds, within cap, budget and cooldown."""
    from orchestration.acting.worklist import Memory, acting_policy, choose, read_waiting
    from orchestration.pipeline import retrain_collections

    with assay.lake.read() as con:
        waiting, launched_today = read_waiting(con, now)
    # The queue itself keeps what was launched; between two ticks of a drill nothing is requested and not started.
    choice = choose(waiting, launched_today, Memory({}), now, acting_policy(assay.settings))
    if choice.keys:
        retrain_collections(assay.settings, instance, choice.keys, f"degraded or drifted: {choice.why}")
    return choice.keys


def incidents(outbox: Outbox) -> list[Incident]:
    """Every incident of the outbox, in the order in which they were opened."""
    rows = outbox.rows(
        "select key, severity, title, runbook, command, first_seen, resolved_at from incidents order by first_seen, key"
    )
    return [
        Incident(
            row["key"],
            row["severity"],
            row["title"],
            row["runbook"],
            row["command"],
            datetime.fromisoformat(row["first_seen"]),
            datetime.fromisoformat(row["resolved_at"]) if row["resolved_at"] else None,
        )
        for row in rows
    ]
