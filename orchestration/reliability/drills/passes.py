"""One pass over a scratch home: what the schedules run, and then what the sensors do.

Here: the order, and what the pass changed in the outbox. Not here: any of the work: the jobs and the sensors are those
of the code location, on a clock that is set. A drill lets a day pass in seconds, so its clock shows `as_of`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestration.alerts.store import Outbox, stamp
from orchestration.clock import SetClock
from orchestration.models.worklist import collections_of
from orchestration.states import Severity

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.code_location import CodeLocation
    from orchestration.settings import Settings

DELIVERY_EVERY = timedelta(minutes=1)
"""The delivery sensor runs this often: what a pass raised is sent within it."""


@dataclass(frozen=True)
class Incident:
    """An incident as the outbox keeps it; times are the drill's clock (`as_of`)."""

    key: str
    severity: Severity
    title: str
    runbook: str
    command: str
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True)
class Pass:
    """What one pass did.

    Attributes:
        as_of: Everything known before it was ingested.
        opened: Incidents it opened.
        resolved: Keys of incidents it resolved.
        trained: Training decisions by action, of what was due by schedule.
        retrained: Collections that were trained out of turn, because the pass queued them.
        seconds: Wall-clock time it took.
    """

    as_of: datetime
    opened: tuple[Incident, ...]
    resolved: tuple[str, ...]
    trained: dict[str, int]
    retrained: tuple[str, ...]
    seconds: float


def run_pass(settings: Settings, instance: dg.DagsterInstance) -> Pass:
    """The main job, a tick of each sensor that alerts, delivers or retrains, and the run that the last asks for."""
    from orchestration.definitions import open_location
    from orchestration.resources import Assay
    from orchestration.runs.main_job import run_everything

    began = time.monotonic()
    as_of = Assay(settings).as_of
    clock = SetClock(as_of)
    location = open_location(settings, clock)
    summary = run_everything(location, instance)
    tick(location, instance, "alert_failed_checks")
    clock.forward(DELIVERY_EVERY)
    tick(location, instance, "deliver_alerts")
    retrained = _retrain_what_waits(location, instance)
    outbox = Outbox.of(settings.home_path)
    opened = [incident for incident in incidents(outbox) if incident.opened_at == as_of]
    resolved = outbox.rows("select key from incidents where resolved_at = ? order by key", stamp(as_of))
    return Pass(
        as_of,
        tuple(opened),
        tuple(row["key"] for row in resolved),
        summary.trained,
        retrained,
        time.monotonic() - began,
    )


def tick(location: CodeLocation, instance: dg.DagsterInstance, sensor: str) -> Sequence[dg.RunRequest]:
    """Evaluate a sensor of the code location once, as the daemon does; returns the runs that it asks for."""
    import dagster as dg

    repository = location.definitions.get_repository_def()
    resources = {"assay": location.assay}
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, resources=resources
    ) as context:
        return repository.get_sensor_def(sensor).evaluate_tick(context).run_requests or []


def _retrain_what_waits(location: CodeLocation, instance: dg.DagsterInstance) -> tuple[str, ...]:
    """A tick of `retrain_drifted`, and the run that it asks for."""
    from orchestration.runs.main_job import run_job

    trained: list[str] = []
    for request in tick(location, instance, "retrain_drifted"):
        config = dict(request.run_config)
        run_job(location, instance, "retrain_worklist", config=config, tags=request.tags)
        trained += collections_of(request.run_config)
    return tuple(trained)


def incidents(outbox: Outbox) -> list[Incident]:
    """Every incident of the outbox, in the order in which they were opened."""
    rows = outbox.rows(
        "select key, severity, title, runbook, command, first_seen, resolved_at from incidents order by first_seen, key"
    )
    return [
        Incident(
            row["key"],
            Severity(row["severity"]),
            row["title"],
            row["runbook"],
            row["command"],
            datetime.fromisoformat(row["first_seen"]),
            datetime.fromisoformat(row["resolved_at"]) if row["resolved_at"] else None,
        )
        for row in rows
    ]
