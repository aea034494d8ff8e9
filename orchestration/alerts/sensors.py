"""The sensors of alerting: failures go into the outbox, and its messages go out. Off unless enabled.

Here: glue. Not here: which events are alerts (`orchestration.alerts.dagster_events`), and delivery
(`orchestration.alerts.delivery`).
"""

import dagster as dg

from orchestration.alerts.configured_channels import open_channels
from orchestration.alerts.dagster_events import (
    CHECK_SCOPE,
    check_alerts,
    newest_run_succeeded,
    run_failure_alert,
    run_key,
)
from orchestration.alerts.delivery import deliver
from orchestration.alerts.outbox import raise_alert, resolve_alert, sync_alerts
from orchestration.alerts.policy import policy_of
from orchestration.alerts.store import Outbox
from orchestration.dagster_resources import AssayResource


def build_alert_sensors(*, enabled: bool) -> list[dg.SensorDefinition]:
    """Delivery every minute, failed runs, their recovery, failed checks."""
    status = dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name="deliver_alerts",
        minimum_interval_seconds=60,
        default_status=status,
        description="Sends what is due from the outbox: new incidents, reminders, recoveries, repeats.",
    )
    def deliver_alerts(context: dg.SensorEvaluationContext, assay: AssayResource) -> dg.SkipReason:
        settings = assay.settings
        outbox = Outbox.of(settings.home_path)
        outbox.remember_automations(_names(context))
        report = deliver(outbox, open_channels(settings), assay.clock.now(), policy_of(settings))
        return dg.SkipReason(f"sent {report.sent}, failed {report.failed}, given up {report.given_up}")

    @dg.sensor(
        name="alert_failed_checks",
        minimum_interval_seconds=60,
        default_status=status,
        description="An incident for each check whose newest evaluation failed, until it passes.",
    )
    def alert_failed_checks(context: dg.SensorEvaluationContext, assay: AssayResource) -> dg.SkipReason:
        assert context.repository_def is not None
        keys = context.repository_def.asset_graph.asset_check_keys
        outbox = Outbox.of(assay.settings.home_path)
        changed = sync_alerts(outbox, CHECK_SCOPE, check_alerts(context.instance, keys), assay.clock.now())
        return dg.SkipReason(f"{len(changed.opened)} new, {len(changed.resolved)} over")

    # All code locations: a run that names none, of an older version, is an incident as well.
    @dg.run_failure_sensor(
        name="alert_failed_runs",
        monitor_all_code_locations=True,
        minimum_interval_seconds=30,
        default_status=status,
        description="An incident for a job whose run failed.",
    )
    def alert_failed_runs(context: dg.RunFailureSensorContext, assay: AssayResource) -> None:
        outbox, run = Outbox.of(assay.settings.home_path), context.dagster_run
        raise_alert(outbox, run_failure_alert(run, context.failure_event.message), assay.clock.now())
        if newest_run_succeeded(context.instance, run.job_name):
            resolve_alert(outbox, run_key(run.job_name), assay.clock.now())

    @dg.run_status_sensor(
        name="resolve_failed_runs",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitor_all_code_locations=True,
        minimum_interval_seconds=30,
        default_status=status,
        description="The end of that incident: a run of the job succeeded.",
    )
    def resolve_failed_runs(context: dg.RunStatusSensorContext, assay: AssayResource) -> None:
        job = context.dagster_run.job_name
        if newest_run_succeeded(context.instance, job):
            resolve_alert(Outbox.of(assay.settings.home_path), run_key(job), assay.clock.now())

    return [deliver_alerts, alert_failed_checks, alert_failed_runs, resolve_failed_runs]


def _names(context: dg.SensorEvaluationContext) -> list[str]:
    """Every sensor and schedule of the code location."""
    repository = context.repository_def
    assert repository is not None
    return [*(s.name for s in repository.sensor_defs), *(s.name for s in repository.schedule_defs)]
