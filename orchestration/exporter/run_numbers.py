"""What Dagster's storage says about runs, as metrics. Here: counts by job. Not here: judging them (service levels)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from serving.metrics.families import gauges

if TYPE_CHECKING:
    import dagster as dg
    from prometheus_client.core import Metric

NEWEST_RUNS = 500
"""Runs that are read: three weeks of an hourly pipeline."""


def run_numbers(instance: dg.DagsterInstance) -> list[Metric]:
    """Runs by job and status, and when the last one of a job succeeded."""
    import dagster as dg

    records = instance.get_run_records(limit=NEWEST_RUNS)
    statuses: Counter[tuple[str, str]] = Counter()
    succeeded: dict[str, float] = {}
    for record in records:
        run = record.dagster_run
        statuses[run.job_name, run.status.value.lower()] += 1
        if run.status == dg.DagsterRunStatus.SUCCESS and record.end_time is not None:
            succeeded[run.job_name] = max(succeeded.get(run.job_name, 0.0), record.end_time)
    return [
        gauges(
            "assay_runs",
            f"The newest {NEWEST_RUNS} runs by job and status.",
            ["job", "status"],
            statuses.items(),
        ),
        gauges(
            "assay_run_success_timestamp_seconds",
            "When a run of the job last succeeded.",
            ["job"],
            [((job,), at) for job, at in succeeded.items()],
        ),
    ]
