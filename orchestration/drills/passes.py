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
        trained: Training decisions by action.
        seconds: Wall-clock time it took.
    """

    now: datetime
    opened: tuple[Incident, ...]
    resolved: tuple[str, ...]
    trained: dict[str, int]
    seconds: float


def run_pass(
    settings: Settings, instance: dg.DagsterInstance, channels: Sequence[Channel] | None = None
) -> Pass:
    """Ingest, build, train what is due, score; monitor; deliver."""
    from orchestration.pipeline import run_everything
    from orchestration.resources import Assay

    began = time.monotonic()
    summary = run_everything(settings, instance)
    assay, outbox = Assay(settings), Outbox.of(settings.home_path)
    now = assay.horizon
    monitor(assay, instance, outbox, now)
    chosen = open_channels(settings) if channels is None else channels
    deliver(outbox, chosen, now + DELIVERY_EVERY, policy_of(settings))
    opened = [incident for incident in incidents(outbox) if incident.opened_at == now]
    resolved = outbox.rows("select key from incidents where resolved_at = ? order by key", stamp(now))
    return Pass(
        now,
        tuple(opened),
        tuple(row["key"] for row in resolved),
        summary.trained,
        time.monotonic() - began,
    )


def monitor(assay: Assay, instance: dg.DagsterInstance, outbox: Outbox, now: datetime) -> None:
    """The ledger, the service levels and the checks, and the alerts that follow from them."""
    from ml.evaluation.estimate_ledger import update_estimate_ledger
    from orchestration.alerts.dagster_events import CHECK_SCOPE, check_alerts
    from orchestration.alerts.outbox import sync_alerts
    from orchestration.assets.checks import CHECKS
    from orchestration.checks.factory import spec_of
    from orchestration.slo.definitions import load_slos
    from orchestration.slo.watch import SCOPE, slo_alerts, watch_slos

    with assay.lake.write("enter new sales into the ledger") as con:
        update_estimate_ledger(con, assay.horizon)
    slos = load_slos()
    watch_slos(assay.lake, slos, assay.horizon, instance)
    with assay.lake.read() as con:
        burning = slo_alerts(con, slos)
    sync_alerts(outbox, SCOPE, burning, now)
    keys = [spec_of(check).key for check in CHECKS]
    sync_alerts(outbox, CHECK_SCOPE, check_alerts(instance, keys), now)


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
