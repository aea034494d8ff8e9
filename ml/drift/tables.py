"""The tables of drift: `monitoring.drift_scores` (appended) and `monitoring.drift_status` (one row per collection).

Here: columns, the summary and retention. Not here: how a score comes about (`statement`).
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from ml.drift.config import DriftConfig
from ml.models.tables import table_exists

SCORES = "monitoring.drift_scores"
STATUS = "monitoring.drift_status"

# key: (collection, window_sales, number, feature).
_SCORES_DDL = """
    evaluated_at timestamp, window_start timestamp, window_end timestamp, collection varchar, feature varchar,
    kind varchar, window_sales bigint, number bigint, n_reference bigint, n_current bigint, psi double, ks double,
    ordinary_ks double, p_value double, q_value double, state varchar, streak bigint
"""
# key: collection.
_STATUS_DDL = """
    collection varchar, evaluated_at timestamp, window_start timestamp, window_end timestamp, window_sales bigint,
    number bigint, state varchar, tested bigint, drifted bigint, suspect bigint, covariate bigint, prior bigint,
    concept bigint, worst_feature varchar, worst_kind varchar, score double
"""


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make both tables where they are missing."""
    con.execute("create schema if not exists monitoring")
    con.execute(f"create table if not exists {SCORES} ({_SCORES_DDL})")
    con.execute(f"create table if not exists {STATUS} ({_STATUS_DDL})")


def scored_windows(con: duckdb.DuckDBPyConnection) -> str:
    """SQL for the newest window scored of every collection: collection, window_sales, number."""
    if not table_exists(con, STATUS):
        return "select null::varchar as collection, null::bigint as window_sales, null::bigint as number where false"
    return f"select collection, window_sales, number from {STATUS}"


def store(con: duckdb.DuckDBPyConnection, scores: str, now: datetime, config: DriftConfig) -> None:
    """Append scores, renew the summary of their collections, and forget what is past its retention.

    Args:
        con: a write connection, inside the caller's transaction.
        scores: a table with the columns of monitoring.drift_scores, one window per collection.
        now: market time.
        config: retention.
    """
    create_tables(con)
    con.execute(
        f"""
        delete from {SCORES} where (collection, window_sales, number) in (
            select (collection, window_sales, number) from {scores}
        ) or evaluated_at < $now::timestamp - interval {config.keep_days} day
        """,
        {"now": now},
    )
    con.execute(f"insert into {SCORES} by name select * from {scores}")
    con.execute(
        f"""
        delete from {STATUS} where collection in (select collection from {scores})
            or window_end < $now::timestamp - interval {config.active_days} day
        """,
        {"now": now},
    )
    con.execute(f"insert into {STATUS} by name {_SUMMARY.format(scores=scores)}")


# A drifted feature outranks any suspect one; among equals the one furthest beyond its ordinary distance is the worst.
_SUMMARY = """
with ranked as (
    select
        *, ks / ordinary_ks as strength,
        case state when 'drifted' then 3 when 'suspect' then 2 when 'ok' then 1 else 0 end as severity
    from {scores}
)
select
    collection,
    any_value(evaluated_at) as evaluated_at,
    any_value(window_start) as window_start,
    any_value(window_end) as window_end,
    any_value(window_sales) as window_sales,
    any_value(number) as number,
    case max(severity) when 3 then 'drifted' when 2 then 'suspect' when 1 then 'ok' else 'too_few' end as state,
    count(*) filter (severity > 0) as tested,
    count(*) filter (severity = 3) as drifted,
    count(*) filter (severity = 2) as suspect,
    count(*) filter (severity = 3 and kind = 'covariate') as covariate,
    count(*) filter (severity = 3 and kind = 'prior') as prior,
    count(*) filter (severity = 3 and kind = 'concept') as concept,
    arg_max(feature, (severity, strength)) filter (severity > 0) as worst_feature,
    arg_max(kind, (severity, strength)) filter (severity > 0) as worst_kind,
    max((severity, strength)) filter (severity > 0)[2] as score
from ranked
group by collection
"""
