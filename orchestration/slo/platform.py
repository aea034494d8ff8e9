"""Data about Dagster itself for SLIs: its runs, as the temporary table `platform.runs`.

Here: copying the newest runs of the instance into a temporary table. Not here: judging them (an SLI's SQL does).
Runs happen in wall-clock time, which has nothing to do with `$as_of`: the table therefore holds the last day only, and
its SLI must not compare it with `$as_of`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import dagster as dg
    import duckdb

RUNS = "platform_runs"
RUNS_SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "job": pa.string(),
        "status": pa.string(),
        "started_at": pa.timestamp("us"),
        "ended_at": pa.timestamp("us"),
    }
)
# Runs of the last day: an hourly pipeline has two dozen, and yesterday's failure is not today's.
LOOK_BACK = timedelta(days=1)
MOST_RUNS = 2_000


def register_runs(con: duckdb.DuckDBPyConnection, instance: dg.DagsterInstance) -> None:
    """Temp table `platform_runs`: runs that ended within the last day, one row each; times are wall-clock UTC."""
    import dagster as dg

    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    records = instance.get_run_records(
        dg.RunsFilter(statuses=ended, updated_after=datetime.now(UTC) - LOOK_BACK), limit=MOST_RUNS
    )
    rows = [
        {
            "run_id": record.dagster_run.run_id,
            "job": record.dagster_run.job_name,
            "status": record.dagster_run.status.value.lower(),
            "started_at": _naive(record.start_time),
            "ended_at": _naive(record.end_time),
        }
        for record in records
    ]
    con.register("_runs", pa.Table.from_pylist(rows, schema=RUNS_SCHEMA))
    con.execute(f"create or replace temp table {RUNS} as select * from _runs")
    con.unregister("_runs")


def _naive(epoch: float | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None)
