"""The examinations of the watchdog: whether what should run runs, as alerts about what does not.

Here: reading Dagster's storage, the outbox, the lake, the request log of the API and the disk. Not here: alerting
(`orchestration.alerts.watchdog`). Nothing here loads the code location, so the watchdog works when it is broken. All
keys are in the scope `watchdog`.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.storage import sql_list
from ml.text.times import utc_minute, utc_second
from orchestration.alerts.outbox import Alert
from orchestration.alerts.store import OUTBOX_FILE, Outbox, stamp
from orchestration.home_faults import damaged_databases
from orchestration.states import UNDELIVERED, DeliveryState, Severity
from serving.metrics.expected_minutes import ApiWatch, unanswered_addresses

if TYPE_CHECKING:
    import dagster as dg

    from lake.config import LakeConfig

SCOPE = "watchdog"
DISK_KEY = f"{SCOPE}/disk"


@dataclass(frozen=True)
class HealthLimits:
    """What counts as a failure.

    Attributes:
        heartbeat: Age of the oldest newest heartbeat of a daemon thread; each writes one every 30 s.
        sensor_grace: What a sensor may be late beyond five of its intervals.
        schedule_grace: What a schedule may be late.
        failed_ticks: Failed ticks in a row.
        queued: How long a run may wait for its turn, or for its process.
        running: How long a run may take; the hourly path takes minutes.
        undelivered: Age of a message that is still on its way.
        free_share: Least free share of the home's disk.
        free_bytes: Least free bytes; maintenance rewrites whole tables and needs room for the second copy.
        lake_s: Seconds the lake may take to answer.
        api_minutes: Minutes in a row in which an API has not answered.
    """

    heartbeat: timedelta = timedelta(minutes=5)
    sensor_grace: timedelta = timedelta(minutes=5)
    schedule_grace: timedelta = timedelta(minutes=15)
    failed_ticks: int = 3
    queued: timedelta = timedelta(minutes=30)
    running: timedelta = timedelta(hours=3)
    undelivered: timedelta = timedelta(minutes=15)
    free_share: float = 0.05
    free_bytes: int = 2_000_000_000
    lake_s: float = 60.0
    api_minutes: int = 3


def _seconds(now: datetime) -> float:
    return now.replace(tzinfo=UTC).timestamp()


def daemon_expected(instance: dg.DagsterInstance) -> bool:
    """Whether any sensor or schedule of the home is, or was, switched on."""
    return bool(_switched_on(instance))


def stopped_daemon(instance: dg.DagsterInstance, now: datetime, limits: HealthLimits) -> list[Alert]:
    """The daemon's threads without a recent heartbeat; all of them when it never ran."""
    beats = instance.get_daemon_heartbeats()
    oldest = _seconds(now - limits.heartbeat)
    stopped = sorted(
        name
        for name in instance.get_required_daemon_types()
        if name not in beats or beats[name].timestamp < oldest
    )
    if not stopped:
        return []
    newest = max((beat.timestamp for beat in beats.values()), default=None)
    when = "never" if newest is None else utc_second(datetime.fromtimestamp(newest, UTC))
    return [
        Alert(
            key=f"{SCOPE}/daemon",
            severity=Severity.PAGE,
            title="Dagster's daemon has stopped: no data, no scores, no alerts",
            body=f"No heartbeat for {limits.heartbeat} of: {', '.join(stopped)}. The newest of any thread: {when}.",
            runbook="daemon-dead",
            command="assay ui",
        )
    ]


def stopped_automations(
    instance: dg.DagsterInstance, outbox: Outbox, now: datetime, limits: HealthLimits
) -> list[Alert]:
    """Sensors and schedules that are switched on and have not ticked, or whose last ticks all failed."""
    from orchestration.dagster_internals import TickStatus

    # What was removed from the code does not tick for a good reason.
    known = {row["name"] for row in outbox.rows("select name from automations")}
    alerts = []
    for state in _switched_on(instance):
        if known and state.instigator_name not in known:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=max(1, limits.failed_ticks)
        )
        due = _due(state, ticks[0].timestamp if ticks else None, limits)
        if due is not None and due < _seconds(now):
            last = utc_minute(datetime.fromtimestamp(ticks[0].timestamp, UTC)) if ticks else "never"
            alerts.append(_automation(state.instigator_name, "has stopped", f"It ticked last: {last}."))
        elif len(ticks) >= limits.failed_ticks and all(t.status is TickStatus.FAILURE for t in ticks):
            error = ticks[0].error.message.strip() if ticks[0].error else "no message"
            alerts.append(
                _automation(state.instigator_name, "fails", f"{len(ticks)} ticks in a row: {error[:400]}")
            )
    return alerts


def _switched_on(instance: dg.DagsterInstance) -> list[Any]:  # InstigatorState is not public
    from orchestration.dagster_internals import InstigatorStatus

    on = {InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE}
    return list(instance.all_instigator_state(instigator_statuses=on))


def _due(state: object, last: float | None, limits: HealthLimits) -> float | None:
    """When the next tick is overdue, as a timestamp; None when that is unknown."""
    from orchestration.dagster_internals import (
        ScheduleInstigatorData,
        SensorInstigatorData,
        schedule_execution_time_iterator,
    )

    data = getattr(state, "instigator_data", None)
    if isinstance(data, SensorInstigatorData):
        since = last or data.last_sensor_start_timestamp
        interval = 5 * (data.min_interval or 30)
        return None if since is None else since + interval + limits.sensor_grace.total_seconds()
    if isinstance(data, ScheduleInstigatorData):
        since = max(filter(None, (last, data.start_timestamp)), default=None)
        if since is None:
            return None
        # Our schedules are in UTC (orchestration/schedules.py). Strictly after the last one.
        following = next(schedule_execution_time_iterator(since + 1, data.cron_schedule, "UTC"))
        return following.timestamp() + limits.schedule_grace.total_seconds()
    return None


def _automation(name: str, what: str, body: str) -> Alert:
    return Alert(
        key=f"{SCOPE}/automation/{name}",
        severity=Severity.PAGE,
        title=f"{name} {what}",
        body=body,
        runbook="daemon-dead",
        command="assay ui",
        group="sensors or schedules do not work",
    )


def stuck_runs(instance: dg.DagsterInstance, now: datetime, limits: HealthLimits) -> list[Alert]:
    """Runs that wait or run for longer than any should."""
    import dagster as dg

    waiting = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
    running = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    alerts = []
    for statuses, limit in ((waiting, limits.queued), (running, limits.running)):
        for record in instance.get_run_records(dg.RunsFilter(statuses=statuses)):
            since = record.start_time or record.create_timestamp.timestamp()
            if since >= _seconds(now - limit):
                continue
            run = record.dagster_run
            alerts.append(
                Alert(
                    key=f"{SCOPE}/run/{run.run_id}",
                    severity=Severity.TICKET,
                    title=f"A run of {run.job_name} is stuck",
                    body=f"Run {run.run_id} is {run.status.value} since "
                    f"{utc_minute(datetime.fromtimestamp(since, UTC))}, longer than {limit}.",
                    runbook="killed-run",
                    command="assay run",
                    group="runs are stuck",
                )
            )
    return alerts


def undelivered(
    outbox: Outbox, endpoints: dict[str, str], now: datetime, limits: HealthLimits
) -> list[Alert]:
    """Endpoints with messages that are on their way for too long, or were given up."""
    alerts = []
    for endpoint, label in endpoints.items():
        waiting = outbox.rows(
            "select count(*) as n, min(d.created_at) as oldest, max(e.last_error) as error from deliveries d "
            f"join endpoints e using (endpoint) where endpoint = ? and state in {sql_list(UNDELIVERED)} "
            "and d.created_at < ?",
            endpoint,
            stamp(now - limits.undelivered),
        )[0]
        given_up = outbox.rows(
            "select count(*) as n from deliveries where endpoint = ? and state = ?",
            endpoint,
            DeliveryState.DEAD,
        )[0]["n"]
        problems = []
        if waiting["n"]:
            error = waiting["error"] or "no attempt yet"
            problems.append(f"{waiting['n']} message(s) wait since {waiting['oldest'][:19]} UTC: {error}")
        if given_up:
            problems.append(
                f"{given_up} message(s) were given up; assay alerts deliver --retry-dead sends them again"
            )
        if problems:
            alerts.append(
                Alert(
                    key=f"{SCOPE}/delivery/{endpoint}",
                    severity=Severity.PAGE,
                    title=f"Alerts do not reach {label}",
                    body=". ".join(problems),
                    runbook="alert-delivery-dead",
                    command="assay alerts list",
                    except_endpoint=endpoint,
                )
            )
    return alerts


def unreadable_lake(config: LakeConfig, limits: HealthLimits) -> list[Alert]:
    """The lake's newest snapshot cannot be read, or not in time."""
    if not config.may_exist:
        return _lake(f"There is no catalog at {config.catalog_path}.")
    error = _within(limits.lake_s, lambda: _read_snapshot(config))
    return _lake(error) if error else []


def _read_snapshot(config: LakeConfig) -> None:
    from lake.connection import Lake

    Lake(config).snapshot_id()


def _within(seconds: float, work: Callable[[], None]) -> str | None:
    """What went wrong with some work, or None. In a daemon thread: hanging work must not hang the watchdog."""
    problem: list[str] = []

    def attempt() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            problem.append(f"{type(error).__name__}: {str(error)[:500]}")

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return f"It did not answer within {seconds:.0f} s."
    return problem[0] if problem else None


def _lake(body: str) -> list[Alert]:
    return [
        Alert(
            key=f"{SCOPE}/lake",
            severity=Severity.PAGE,
            title="The lake cannot be read",
            body=body,
            runbook="lake-unreadable",
            command="assay watchdog",
        )
    ]


def damaged_history(home: Path) -> list[Alert]:
    """Databases of the home that cannot be read, apart from the lake's and the outbox, which are asked otherwise."""
    apart = ("", "lake/catalog.sqlite", OUTBOX_FILE)
    return [
        Alert(
            key=f"{SCOPE}/database/{fault.path}",
            severity=Severity.PAGE,
            title=f"A database of the home is damaged: {fault.path}",
            body=str(fault),
            runbook="home-damaged",
            command="assay doctor",
            group="databases of the home are damaged",
        )
        for fault in damaged_databases(home)
        if fault.path not in apart
    ]


def unanswering_api(watch: ApiWatch, limits: HealthLimits) -> list[Alert]:
    """The API does not answer where it is expected, by the minutes that its service level counts."""
    if not watch.log.exists():
        never = "ASSAY_API_EXPECTED is set, and no API has ever answered on this home."
        return _api(never) if watch.always else []
    try:
        addresses = unanswered_addresses(watch, limits.api_minutes)
    except sqlite3.Error as error:
        return _api(f"Its request log {watch.log} cannot be read: {error}")
    if not addresses:
        return []
    return _api(f"No answer for at least {limits.api_minutes} minutes at: {', '.join(addresses)}.")


def _api(body: str) -> list[Alert]:
    return [
        Alert(
            key=f"{SCOPE}/api",
            severity=Severity.PAGE,
            title="The API does not answer",
            body=body,
            runbook="api-down",
            command="assay serve",
        )
    ]


def full_disk(home: Path, limits: HealthLimits) -> list[Alert]:
    """The disk of the home is nearly full."""
    usage = shutil.disk_usage(home)
    if usage.free >= max(limits.free_bytes, limits.free_share * usage.total):
        return []
    return [
        Alert(
            key=DISK_KEY,
            severity=Severity.PAGE,
            title="The disk of the home is nearly full",
            body=f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.0f} GB are free; expected at least "
            f"{limits.free_share:.0%} and {limits.free_bytes / 1e9:.0f} GB.",
            runbook="disk-full",
            command="df -h",
        )
    ]
