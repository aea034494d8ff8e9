"""The tables of the SLOs: `monitoring.slo_samples` (append, one per evaluation) and `monitoring.slo_status` (replaced).

Here: reading and writing. Not here: their columns (`ml.tables.monitoring`), or what is in
them (`orchestration.slo.evaluation`, `orchestration.slo.budget`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.tables.monitoring import SLO_SAMPLES, SLO_STATUS
from ml.tables.writing import append
from orchestration.slo.budget import Sample
from orchestration.slo.evaluation import Status

if TYPE_CHECKING:
    import duckdb

SAMPLES = SLO_SAMPLES.name
STATUS = SLO_STATUS.name
# Longer than any window (365 days) would be kept for nothing; a longer-lived record is the decision log's task.
KEEP_SAMPLES = timedelta(days=400)

_BURN_COLUMNS = {
    "burn_5m": timedelta(minutes=5),
    "burn_30m": timedelta(minutes=30),
    "burn_1h": timedelta(hours=1),
    "burn_6h": timedelta(hours=6),
    "burn_3d": timedelta(days=3),
}


def read_samples(con: duckdb.DuckDBPyConnection, as_of: datetime) -> dict[str, list[Sample]]:
    """Samples before `as_of` by SLO, oldest first; empty before the first evaluation."""
    held: dict[str, list[Sample]] = defaultdict(list)
    rows = con.execute(
        f'select slo, evaluated_at, "since", good, valid, value, note from {SAMPLES}'
        " where evaluated_at < $as_of and evaluated_at >= $oldest order by evaluated_at",
        {"as_of": as_of, "oldest": as_of - KEEP_SAMPLES},
    ).fetchall()
    for row in rows:
        held[row[0]].append(Sample(*row))
    return dict(held)


def store(
    con: duckdb.DuckDBPyConnection,
    statuses: Sequence[Status],
    as_of: datetime,
    measured_at: datetime | None = None,
) -> None:
    """Keep the samples of one evaluation and replace the status, in the caller's transaction.

    Samples of the same `as_of` are replaced. `measured_at` is the wall-clock time up to which requests were counted.
    """
    con.execute(
        f"delete from {SAMPLES} where evaluated_at = $as_of or evaluated_at < $oldest",
        {"as_of": as_of, "oldest": as_of - KEEP_SAMPLES},
    )
    samples = [s.sample for s in statuses]
    append(
        con,
        SAMPLES,
        pa.Table.from_pylist([_sample_row(s, measured_at) for s in samples], schema=SLO_SAMPLES.arrow()),
    )
    con.execute(f"delete from {STATUS}")
    append(con, STATUS, status_table(statuses))


def status_table(statuses: Sequence[Status]) -> pa.Table:
    """The status as a table: one row per SLO."""
    return pa.Table.from_pylist([_status_row(status) for status in statuses], schema=SLO_STATUS.arrow())


def _sample_row(sample: Sample, measured_at: datetime | None) -> dict[str, object]:
    return {
        "slo": sample.slo,
        "evaluated_at": sample.evaluated_at,
        "since": sample.since,
        "good": sample.good,
        "valid": sample.valid,
        "sli": sample.sli,
        "value": sample.value,
        "note": sample.note,
        "measured_at": measured_at,
    }


def _status_row(status: Status) -> dict[str, object]:
    slo, sample, budget = status.slo, status.sample, status.budget
    return {
        "slo": slo.name,
        "evaluated_at": sample.evaluated_at,
        "state": budget.state,
        "severity": slo.severity,
        "owner": slo.owner,
        "objective": slo.objective,
        "window_days": slo.window_days,
        "sli": budget.sli,
        "value": sample.value,
        "bound": slo.sli.bound if slo.sli.kind == "value" else None,
        "good": budget.good,
        "valid": budget.valid,
        "budget_left": budget.left,
        **{column: budget.burn[window] for column, window in _BURN_COLUMNS.items()},
        "hours_to_exhaustion": None
        if budget.exhausted_in is None
        else budget.exhausted_in / timedelta(hours=1),
        "note": sample.note,
        "runbook": slo.runbook,
        "command": slo.command,
    }
