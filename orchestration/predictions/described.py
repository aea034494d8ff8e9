"""What the store says about the pipeline itself: its operations, and its data dictionary.

Here: collecting both as plain data, because the store knows neither Dagster nor the outbox. Not here: writing them
(`serving.store.publication`), or showing them (`serving.dashboard`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestration.resources import DBT_PROJECT
from orchestration.states import ALERTING, URGENT_FIRST, IncidentState, Severity

if TYPE_CHECKING:
    import dagster as dg
    import duckdb

    from orchestration.resources import Assay

SHOWN = 30
"""Rows of each list: the first of the queue, the newest decisions, alerts and runs."""

WRITTEN_BY = {
    "truth.collection_levels": "market_truth",
    "truth.token_effects": "market_truth",
    "ops.ingest_log": "raw_sales",
    "ops.segment_lives": "consistency",
    "ops.source_incidents": "raw_blocks",
    "ops.sources": "raw_sales",
    "ops.collection_keys": "raw_collections",
    "ops.mart_watermark": "fct_sales",
    "ops.mart_run": "fct_sales",
    "ops.dirty_collections": "fct_sales",
    "ops.dirty_entities": "fct_sales",
    "ops.dirty_tokens": "fct_sales",
    "ops.dirty_positions": "fct_sales",
    "features.token_index": "hedonic_index",
    "features.index_state": "hedonic_index",
    "features.feature_state": "sale_features",
    "predictions.prior_walk_forward": "pooled_prior",
    "predictions.local_walk_forward": "price_models",
    "predictions.estimate_history": "token_estimates",
    "predictions.explanations": "token_estimates",
    "predictions.comparables": "token_estimates",
    "monitoring.mape_buckets": "online_metrics",
    "monitoring.accuracy_report": "walk_forward_accuracy",
    "monitoring.drift_status": "drift_scores",
    "monitoring.slo_samples": "slo_status",
    "ops.prior_folds": "pooled_prior",
    "ops.interval_calibration": "pooled_prior",
    "ops.portfolio_risk": "estimate_ledger",
    "ops.rarity_effect": "pooled_prior",
    "ops.champions": "price_models",
    "ops.training_failures": "price_models",
    "ops.decision_log": "price_models",
    "ops.decision_effects": "retrain_queue",
    "ops.set_aside": "token_features",
    "ops.tuning_trials": "tuning_study",
    "ops.tuned_settings": "tuning_study",
}
"""The asset that writes a table, of tables that do not have the name of their asset."""


def operations(
    con: duckdb.DuckDBPyConnection, assay: Assay, instance: dg.DagsterInstance, running: str | None = None
) -> dict[str, Any]:
    """Service levels, drift, queue, decisions, quarantine, alerts and runs as they are now.

    Args:
        con: A read connection of the lake.
        assay: The home.
        instance: Its Dagster instance.
        running: Id of the run that asks: it is no finished run.
    """
    return {
        "market_time": _iso(assay.as_of),
        "service_levels": _service_levels(con),
        "drift": {
            "states": _counts(con, "select state, count(*) from monitoring.drift_status group by state"),
            "worst": _rows(
                con,
                "select collection, state, window_sales, drifted, worst_feature, worst_kind, score, evaluated_at"
                " from monitoring.drift_status where state in ('drifted', 'suspect')"
                f" order by state, score desc, collection limit {SHOWN}",
            ),
        },
        "queue": {
            "states": _counts(con, "select state, count(*) from ops.retrain_queue group by state"),
            "first": _rows(
                con,
                "select collection, kind, reason, value_eth, severity, priority, first_seen, cooling_until, state"
                " from ops.retrain_queue where state <> 'done'"
                f" order by state <> 'queued', priority desc, collection limit {SHOWN}",
            ),
        },
        "decisions": {
            "actions": _counts(
                con,
                "select action, count(*) from ops.decision_log where decided_at > $since group by action",
                since=assay.as_of - timedelta(days=30),
            ),
            "newest": _rows(
                con,
                "select decided_at, collection, action, rule, reason, challenger, champion from ops.decision_log"
                f" order by decided_at desc, collection, action limit {SHOWN}",
            ),
        },
        "quarantine": _rows(
            con,
            "select table_name as \"table\", source, reason, count(*) as rows from raw.quarantine where status = 'open'"
            f" group by all order by rows desc, table_name, source, reason limit {SHOWN}",
        ),
        "alerts": _alerts(assay),
        "runs": _runs(instance, running),
    }


def parents_of(specs: Iterable[dg.AssetSpec]) -> dict[str, list[str]]:
    """The assets that each asset is made from, by the last part of their keys."""
    return {spec.key.path[-1]: [dep.asset_key.path[-1] for dep in spec.deps] for spec in specs}


def made_from(parents: Mapping[str, Sequence[str]], tables: Iterable[str]) -> dict[str, list[str]]:
    """The tables that each table is computed from, by the graph of assets.

    Args:
        parents: The assets that each asset is made from.
        tables: Names of tables (`schema.table`).
    """
    assets = frozenset(parents)
    writers = {table: asset for table in tables if (asset := writer_of(table, assets)) is not None}
    written: dict[str, list[str]] = {}
    for table, asset in writers.items():
        written.setdefault(asset, []).append(table)
    return {
        table: sorted(name for parent in parents.get(asset, ()) for name in written.get(parent, ()))
        for table, asset in writers.items()
    }


def writer_of(table: str, assets: frozenset[str]) -> str | None:
    """The asset that writes a table: the one of its name, with or without its schema, or as `WRITTEN_BY` says."""
    schema, name = table.split(".", 1)
    for candidate in (name, f"{schema}_{name}"):
        if candidate in assets:
            return candidate
    return WRITTEN_BY.get(table)


def data_dictionary(con: duckdb.DuckDBPyConnection, parents: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Every table and column, as `ml.tables.dictionary` describes them, with lineage by dbt and the graph."""
    from ml.tables.dictionary import dictionary
    from ml.tables.registry import TABLES

    path = DBT_PROJECT / "target" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    lineage = made_from(parents, [table.name for table in TABLES])
    return {"tables": dictionary(con, manifest, lineage)}


def _service_levels(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    from orchestration.slo.definitions import load_slos

    about = {slo.name: slo.description for slo in load_slos()}
    rows = _rows(con, "select * from monitoring.slo_status order by slo")
    rows.sort(key=lambda row: (URGENT_FIRST.index(row["state"]), row["slo"]))
    return [
        {**row, "description": about.get(row["slo"], ""), "alerting": row["state"] in ALERTING}
        for row in rows
    ]


def _alerts(assay: Assay) -> dict[str, list[dict[str, Any]]] | None:
    from orchestration.alerts.store import OUTBOX_FILE, Outbox

    if not (assay.settings.home_path / OUTBOX_FILE).exists():
        return None
    columns = "severity, title, body, runbook, command, first_seen, resolved_at"
    outbox = Outbox.of(assay.settings.home_path)
    return {
        "open": [
            dict(row)
            for row in outbox.rows(
                f"select {columns} from incidents where state = '{IncidentState.OPEN}'"
                f" order by {Severity.order_sql('severity')}, first_seen desc limit 100"
            )
        ],
        "resolved": [
            dict(row)
            for row in outbox.rows(
                f"select {columns} from incidents where state <> '{IncidentState.OPEN}'"
                f" order by resolved_at desc limit {SHOWN}"
            )
        ],
    }


def _runs(instance: dg.DagsterInstance, running: str | None) -> list[dict[str, Any]]:
    return [
        {
            "job": record.dagster_run.job_name,
            "status": record.dagster_run.status.value.lower(),
            "started_at": _of_epoch(record.start_time),
            "ended_at": _of_epoch(record.end_time),
            "seconds": None
            if record.start_time is None or record.end_time is None
            else round(record.end_time - record.start_time, 1),
        }
        for record in instance.get_run_records(limit=SHOWN)
        if record.dagster_run.run_id != running
    ]


def _counts(con: duckdb.DuckDBPyConnection, sql: str, **values: datetime) -> dict[str, int]:
    return dict(sorted(con.execute(sql, values or None).fetchall()))


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    return [
        {name: _iso(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in con.execute(sql).to_arrow_table().to_pylist()
    ]


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_epoch(seconds: float | None) -> str | None:
    return None if seconds is None else _iso(datetime.fromtimestamp(seconds, UTC))
