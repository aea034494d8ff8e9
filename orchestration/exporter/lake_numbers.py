"""What the lake says about the pipeline, as metrics. Here: reading stored results. Not here: computing any of them.

Every number is one that the pipeline has stored itself: service levels, drift, the log of ingestion, the queue. Labels
are names of configured sources, tables, service levels and states; never a collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml.tables.monitoring import DRIFT_STATUS, SLO_SAMPLES, SLO_STATUS
from ml.tables.ops import INGEST_LOG, RETRAIN_QUEUE, SET_ASIDE, TRAINING_FAILURES
from ml.tables.ops_sources import SOURCES
from orchestration.states import ALERTING, SloState
from serving.metrics.families import Row, gauge, gauges

if TYPE_CHECKING:
    import duckdb
    from prometheus_client.core import Metric

MEASURED = {
    "estimate_coverage": (
        "assay_estimate_coverage_ratio",
        "Share of tokens of trading collections with a value.",
    ),
    "online_mdape": (
        "assay_online_mdape_ratio",
        "Median absolute error of estimates frozen before sales, 14 days.",
    ),
    "interval_coverage": (
        "assay_interval_coverage_ratio",
        "Share of prices inside their 80 % interval, 14 days.",
    ),
}
"""Service levels whose newest measurement has a metric of its own."""

LAGGING = {"marts_fresh": "marts", "features_fresh": "features", "estimates_fresh": "estimates"}
"""Service levels that measure, in hours, how far a layer of tables is behind what has arrived."""

_WINDOWS = ("5m", "30m", "1h", "6h", "3d")


def lake_numbers(con: duckdb.DuckDBPyConnection) -> list[Metric]:
    """All of them, from one read connection."""
    return [*_arrivals(con), *_service_levels(con), *_models(con), *_snapshot(con)]


def _arrivals(con: duckdb.DuckDBPyConnection) -> Iterable[Metric]:
    sources = con.execute(f"select name, watermark, problem is null from {SOURCES.name}").fetchall()
    yield gauges(
        "assay_source_watermark_timestamp_seconds",
        "Everything known before it was read from the source; market time.",
        ["source"],
        [((name,), _epoch(at)) for name, at, _ in sources],
    )
    yield gauges(
        "assay_source_readable",
        "1 when the newest ingestion could read the source.",
        ["source"],
        [((name,), float(readable)) for name, _, readable in sources],
    )
    days = con.execute(
        "select source, table_name, max(day)::timestamp, sum(rows), sum(quarantined)"
        f" from {INGEST_LOG.name} group by all"
    ).fetchall()
    label = ["source", "table"]
    yield gauges(
        "assay_source_newest_day_timestamp_seconds",
        "Newest day of arrival by source and table; market time.",
        label,
        [((s, t), _epoch(day)) for s, t, day, _, _ in days],
    )
    yield gauges("assay_ingested_rows", "Rows accepted.", label, [((s, t), n) for s, t, _, n, _ in days])
    yield gauges(
        "assay_refused_rows", "Rows turned away at ingestion.", label, [((s, t), n) for s, t, _, _, n in days]
    )
    waiting = con.execute(
        "select delivered_by, table_name, count(*) from raw.quarantine where status = 'open' group by all"
    ).fetchall()
    yield gauges(
        "assay_quarantine_open_rows",
        "Rows in quarantine that were not replayed.",
        label,
        [((s, t), n) for s, t, n in waiting],
    )


def _service_levels(con: duckdb.DuckDBPyConnection) -> Iterable[Metric]:
    burns = ", ".join(f"burn_{window}" for window in _WINDOWS)
    levels = con.execute(
        f"select slo, state, severity, objective, sli, budget_left, evaluated_at, {burns} from {SLO_STATUS.name}"
    ).fetchall()
    label, states = ["slo"], list(SloState)
    yield gauges(
        "assay_service_level_state",
        f"State of a service level: {', '.join(f'{n} {state}' for n, state in enumerate(states))}.",
        label,
        [((row[0],), states.index(SloState(row[1]))) for row in levels],
    )
    yield gauges(
        "assay_service_level_alerting",
        "1 while a service level alerts, by the severity it alerts with at most.",
        ["slo", "severity"],
        [((row[0], row[2]), float(row[1] in ALERTING)) for row in levels],
    )
    for name, about, column in (
        ("assay_service_level_objective_ratio", "Share of good events promised.", 3),
        ("assay_service_level_good_ratio", "Share of good events over the window.", 4),
        ("assay_service_level_budget_left_ratio", "Share of the error budget that is left.", 5),
    ):
        yield gauges(name, about, label, [((row[0],), row[column]) for row in levels])
    yield gauges(
        "assay_service_level_evaluated_timestamp_seconds",
        "As-of time of the newest evaluation; market time.",
        label,
        [((row[0],), _epoch(row[6])) for row in levels],
    )
    yield gauges(
        "assay_service_level_burn_rate",
        "How many times too fast the error budget is spent, by window.",
        ["slo", "window"],
        [((row[0], window), rate) for row in levels for window, rate in zip(_WINDOWS, row[7:], strict=True)],
    )
    measured = con.execute(
        f"select slo, arg_max(coalesce(value, sli), evaluated_at) from {SLO_SAMPLES.name}"
        " where coalesce(value, sli) is not null group by slo"
    ).fetchall()
    newest = dict(measured)
    yield gauges(
        "assay_service_level_measured",
        "Newest measurement: a share of good events, or a value in the unit of the service level.",
        label,
        [((slo,), value) for slo, value in measured],
    )
    for slo, (name, about) in MEASURED.items():
        if slo in newest:
            yield gauge(name, about, newest[slo])
    yield gauges(
        "assay_table_lag_seconds",
        "How far a layer of tables is behind what has arrived.",
        ["layer"],
        [((layer,), 3600 * newest[slo]) for slo, layer in LAGGING.items() if slo in newest],
    )


def _models(con: duckdb.DuckDBPyConnection) -> Iterable[Metric]:
    from orchestration.monitoring.drift import standing_drift

    yield gauges(
        "assay_drift_collections",
        "Collections by state of drift.",
        ["state"],
        _by(con, DRIFT_STATUS.name, "state"),
    )
    yield gauge(
        "assay_drift_share_ratio",
        "Share of the tested collections that is drifted.",
        standing_drift(con).share,
    )
    yield gauges(
        "assay_retrain_queue_collections",
        "Collections of the queue by state.",
        ["state"],
        _by(con, RETRAIN_QUEUE.name, "state"),
    )
    yield gauges(
        "assay_set_aside_collections", "Collections set aside.", ["table"], _by(con, SET_ASIDE.name, "stage")
    )
    (failures,) = con.execute(f"select count(*) from {TRAINING_FAILURES.name}").fetchone() or (0,)
    yield gauge("assay_training_failed_collections", "Collections whose last training failed.", failures)


def _snapshot(con: duckdb.DuckDBPyConnection) -> Iterable[Metric]:
    row = con.execute("select max(snapshot_id), max(epoch(snapshot_time)) from lake.snapshots()").fetchone()
    if row and row[0] is not None:
        yield gauge("assay_lake_snapshot", "Number of the lake's newest snapshot.", row[0])
        yield gauge(
            "assay_lake_snapshot_timestamp_seconds", "When the lake was last written; wall clock.", row[1]
        )


def _by(con: duckdb.DuckDBPyConnection, table: str, column: str) -> list[Row]:
    rows: list[tuple[Any, int]] = con.execute(
        f"select {column}, count(*) from {table} group by all"
    ).fetchall()
    return [((str(value),), number) for value, number in rows]


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else at.replace(tzinfo=UTC).timestamp()
