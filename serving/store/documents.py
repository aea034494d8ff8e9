"""Documents about everything: accuracy, status, and what the value of a portfolio needs.

Here: reading them from the lake. Not here: what an answer adds (age, version; `serving.views`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import duckdb

from ml.text.finite import finite
from serving.store.lake_reader import iso_utc, number

ACCURACY, STATUS, RISK = "accuracy", "status", "risk"
OPERATIONS, DICTIONARY = "operations", "dictionary"
"""What the lake does not hold: the publisher hands these in as plain data (`publication.publish`)."""

NOT_COMPARED = {OPERATIONS: frozenset(("runs",))}
"""Parts that differ at each publication, as that is a run itself: written with a new version, they make none."""


def read_documents(con: duckdb.DuckDBPyConnection, market_time: datetime) -> dict[str, bytes]:
    """All documents by name, as JSON."""
    return {
        ACCURACY: as_json(_accuracy(con)),
        STATUS: as_json(_status(con, market_time)),
        RISK: as_json(_risk(con, market_time)),
    }


def compared(documents: Mapping[str, bytes]) -> dict[str, Any]:
    """Documents by name in the form in which two versions are compared: without the parts `NOT_COMPARED`."""
    return {
        name: {part: value for part, value in json.loads(body).items() if part not in NOT_COMPARED[name]}
        if name in NOT_COMPARED
        else body
        for name, body in documents.items()
    }


def as_json(value: Any) -> bytes:
    """JSON in UTF-8, compact.

    Raises:
        ValueError: A number is infinite or none at all: JSON has neither.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


_TIMES = frozenset(
    (
        *("as_of", "lowest_ask_at", "watermark", "since", "until", "sold_at"),
        *("collection_last_sale_at", "trained_until", "market_model_trained_until"),
    )
)


def with_iso_times(value: Any) -> Any:
    """The same with its times as all answers write them: `2026-01-01 00:00:00.5` is 2026-01-01T00:00:00Z."""
    if isinstance(value, list):
        return [with_iso_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{item.split('.')[0].replace(' ', 'T')}Z"
        if name in _TIMES and isinstance(item, str)
        else with_iso_times(item)
        for name, item in value.items()
    }


def _accuracy(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    report = con.execute(
        f"select {iso_utc('as_of')}, document from monitoring.accuracy_report limit 1"
    ).fetchone()
    online = _rows(
        con,
        f"""
        select collection, state, n as sales, {number("mdape")} as mdape, {number("mdape_low")} as mdape_low,
            {number("mdape_high")} as mdape_high, {number("mape")} as mape, {number("coverage_80")} as coverage_80,
            {number("med_5_mdape")} as median_5_mdape, {iso_utc("window_start")} as window_start,
            {iso_utc("window_end")} as window_end
        from monitoring.online_metrics where collection = 'all' order by window_end desc limit 1
        """,
    )
    buckets = _rows(
        con,
        f"""
        select {iso_utc("window_start")} as week, bucket, models, sales from monitoring.mape_buckets
        order by window_start, bucket_number
        """,
    )
    return {
        "as_of": report[0] if report else None,
        "walk_forward": finite(json.loads(report[1])) if report else None,
        "recent": online[0] if online else None,
        "error_buckets": buckets,
    }


def _status(con: duckdb.DuckDBPyConnection, market_time: datetime) -> dict[str, Any]:
    counts = _rows(
        con,
        f"""
        select count(*) as tokens, count(estimate_eth) as tokens_valued, count(distinct collection) as collections,
            {iso_utc("max(as_of)")} as newest_estimate, {iso_utc("max(feature_watermark)")} as newest_sale_used
        from predictions.token_estimates
        """,
    )[0]
    return {
        "as_of": market_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "estimates": counts,
        "sources": _rows(
            con,
            f"""
            select table_name as "table", source, {iso_utc("max(day)")} as newest_day, sum(rows)::bigint as rows,
                sum(quarantined)::bigint as quarantined
            from ops.ingest_log group by all order by all
            """,
        ),
        "service_levels": _rows(
            con,
            f"""
            select slo as name, state, severity, {number("objective")} as objective, {number("sli")} as sli,
                {number("value")} as value, bound, {number("budget_left")} as budget_left,
                {iso_utc("evaluated_at")} as evaluated_at
            from monitoring.slo_status order by slo
            """,
        ),
        "drift": dict(
            con.execute(
                "select state, count(*) from monitoring.drift_status group by state order by state"
            ).fetchall()
        ),
    }


def _risk(con: duckdb.DuckDBPyConnection, market_time: datetime) -> dict[str, Any]:
    from ml.portfolio.past import read_risk

    return {market: asdict(risk) for market, risk in read_risk(con, market_time).items()}


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = con.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
