"""When things run by themselves. All off unless ASSAY_ENABLE_SCHEDULES is true: one setting enables the set.

Here: cron lines. Not here: what is due (decided by the jobs from the data), or training out of turn
(`orchestration.retraining`).
"""

from __future__ import annotations

import dagster as dg

from orchestration.maintenance.jobs import maintain
from orchestration.runs.jobs import everything, refresh
from orchestration.tuning.jobs import tune

CADENCE: tuple[tuple[str, dg.JobDefinition | dg.UnresolvedAssetJobDefinition, str, str], ...] = (
    (
        "hourly_refresh",
        refresh,
        "7 * * * *",
        "Ingest what arrived, rebuild what changed, value it with the current champions, and monitor all of it.",
    ),
    (
        "retrain_mon_wed_fri",
        everything,
        "37 4 * * 1,3,5",
        "The same and training: the pooled priors and collections that are due.",
    ),
    (
        "weekly_tuning",
        tune,
        "17 1 * * 0",
        "Search settings for ASSAY_TUNING_BUDGET_S; first where training again did not help.",
    ),
    (
        "daily_maintenance",
        maintain,
        "30 3 * * *",
        "Merge small files, expire old snapshots of the lake, and compare rows that are due with their sources.",
    ),
)
"""Name, job, cron line in UTC, description."""


def build_schedules(*, enabled: bool) -> list[dg.ScheduleDefinition]:
    """Every schedule, off unless enabled. Runs at the same time wait for each other at the writer's slot."""
    status = dg.DefaultScheduleStatus.RUNNING if enabled else dg.DefaultScheduleStatus.STOPPED
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=status,
            description=description,
        )
        for name, job, cron, description in CADENCE
    ]
