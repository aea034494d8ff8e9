"""When things run by themselves. All off unless ASSAY_ENABLE_SCHEDULES is true.

Here: cron lines. Not here: what is due (decided by the jobs from the data).
"""

from __future__ import annotations

import dagster as dg

from orchestration import jobs


def build_schedules(*, enabled: bool) -> list[dg.ScheduleDefinition]:
    """Hourly the whole cheap path (only new days and changed collections cost anything), nightly maintenance."""
    status = dg.DefaultScheduleStatus.RUNNING if enabled else dg.DefaultScheduleStatus.STOPPED
    return [
        dg.ScheduleDefinition(
            name="hourly_everything",
            job=jobs.everything,
            cron_schedule="7 * * * *",
            execution_timezone="UTC",
            default_status=status,
            description="Ingest what arrived, rebuild what changed, train what is due, score.",
        ),
        dg.ScheduleDefinition(
            name="daily_maintenance",
            job=jobs.maintain,
            cron_schedule="30 3 * * *",
            execution_timezone="UTC",
            default_status=status,
            description="Merge small files and expire old snapshots of the lake.",
        ),
    ]
