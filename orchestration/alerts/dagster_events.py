"""Alerts about what Dagster itself recorded: failed runs and failed checks.

Here: reading them from the instance. Not here: the sensors that call this (`orchestration.alerts.sensors`), what a
check measures. Both are tickets and not pages: the next run is at most an hour away, and when trouble lasts, the
freshness objective that it breaks pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ml.text.visible import shortened
from orchestration.alerts.outbox import Alert
from orchestration.states import Severity

if TYPE_CHECKING:
    import dagster as dg

RUN_SCOPE = "run"
CHECK_SCOPE = "check"

_LONGEST_TEXT = 600
# Guidance in a check's metadata (`orchestration.checks.factory.guidance`); the rest are measurements.
_GUIDANCE = frozenset({"severity", "what_to_do", "runbook"})
# A service level raises its own alert, with its budget; its check shows the same in the UI.
_ALERT_THEMSELVES = frozenset({"slo_status"})


def run_key(job_name: str) -> str:
    """The incident of a job: its newest run failed. It ends when a later run of the job succeeds."""
    return f"{RUN_SCOPE}/{job_name}"


def run_failure_alert(run: dg.DagsterRun, message: str | None) -> Alert:
    """A job's run failed."""
    return Alert(
        key=run_key(run.job_name),
        severity=Severity.TICKET,
        title=f"The job {run.job_name} failed",
        body=f"Run {run.run_id}: {shortened(message or 'no message was recorded', _LONGEST_TEXT)}",
        runbook="run-failed",
        command="assay run",
        group="jobs failed",
    )


def newest_run_succeeded(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether the newest finished run of a job succeeded.

    The sensors of failures and of successes tick by themselves, in any order, so neither may conclude from its
    event alone what is true now.
    """
    import dagster as dg

    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    newest = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=finished), limit=1)
    return bool(newest) and newest[0].status is dg.DagsterRunStatus.SUCCESS


def check_alerts(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> list[Alert]:
    """One alert for each check whose newest finished evaluation failed: severity ERROR a ticket, WARN an info.

    A check that is being evaluated right now, or whose run was killed, keeps its last result: otherwise its incident
    would end whenever a run starts. Complete for its scope: synchronise with it.
    """
    from orchestration.dagster_internals import AssetCheckExecutionRecordStatus as Status

    finished = {Status.SUCCEEDED, Status.FAILED}
    storage = instance.event_log_storage
    asked = [key for key in keys if key.asset_key.to_user_string() not in _ALERT_THEMSELVES]
    latest = storage.get_latest_asset_check_execution_by_key(asked)
    alerts: list[Alert] = []
    for key, newest in latest.items():
        records = [newest]
        if newest.status not in finished:
            records = list(storage.get_asset_check_execution_history(key, limit=1, status=finished))
        alerts += [
            _check_alert(record.event.dagster_event.asset_check_evaluation_data)
            for record in records
            if record.status is Status.FAILED and record.event and record.event.dagster_event
        ]
    return alerts


def _check_alert(evaluation: dg.AssetCheckEvaluation) -> Alert:
    name, asset = evaluation.check_name, evaluation.asset_key.to_user_string()
    metadata = {key: str(value.value) for key, value in evaluation.metadata.items()}
    numbers = ", ".join(
        f"{key}: {text}" for key, text in metadata.items() if len(text) < 80 and key not in _GUIDANCE
    )
    return Alert(
        key=f"{CHECK_SCOPE}/{asset}/{name}",
        severity=Severity.TICKET if evaluation.severity.value == "ERROR" else Severity.INFO,
        title=f"Check {name} of {asset} failed",
        body=shortened(
            ". ".join(filter(None, (evaluation.description, numbers))) or "No details.", _LONGEST_TEXT
        ),
        runbook=_page(metadata.get("runbook")) or "check-failed",
        command=_typed(metadata.get("what_to_do", "assay run")),
        group="checks failed",
    )


def _typed(command: str) -> str:
    """The check's command, or the way to it: one that names hundreds of collections does not fit into a message."""
    return command if len(command) <= _LONGEST_TEXT else "assay ui"


def _page(path: str | None) -> str | None:
    """The name of a page from its path: docs/runbook/drift.md → drift."""
    return path.rsplit("/", 1)[-1].removesuffix(".md") if path else None
