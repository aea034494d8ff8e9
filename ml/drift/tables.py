"""The tables of drift: `monitoring.drift_scores` (appended) and `monitoring.drift_status` (one row per collection).

Here: the summary and retention. Not here: columns (`ml.tables.monitoring`), or how a score comes about
(`ml.drift.statement`).
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from ml.drift.config import DriftConfig
from ml.states import DriftState
from ml.tables.monitoring import DRIFT_SCORES, DRIFT_STATUS

SCORES = DRIFT_SCORES.name
STATUS = DRIFT_STATUS.name

SCORED_WINDOWS = f"select collection, window_sales, number from {STATUS}"
"""SQL for the newest window scored of every collection."""


def store(con: duckdb.DuckDBPyConnection, scores: str, as_of: datetime, config: DriftConfig) -> None:
    """Append scores, renew the summary of their collections, and forget what is past its retention.

    Args:
        con: a write connection, inside the caller's transaction.
        scores: a table with the columns of monitoring.drift_scores, one window per collection.
        as_of: time of the data; nothing known at or after it is used.
        config: retention.
    """
    con.execute(
        f"""
        delete from {SCORES} where (collection, window_sales, number) in (
            select (collection, window_sales, number) from {scores}
        ) or evaluated_at < $as_of::timestamp - interval {config.keep_days} day
        """,
        {"as_of": as_of},
    )
    con.execute(f"insert into {SCORES} by name select * from {scores}")
    con.execute(
        f"""
        delete from {STATUS} where collection in (select collection from {scores})
            or window_end < $as_of::timestamp - interval {config.active_days} day
        """,
        {"as_of": as_of},
    )
    con.execute(f"insert into {STATUS} by name {_summary(scores)}")


def _summary(scores: str) -> str:
    # Drifted features come before suspect ones; among equals the one furthest beyond its ordinary distance is worst.
    return f"""
with ranked as (
    select
        *, ks / ordinary_ks as strength,
        case state
            when '{DriftState.DRIFTED}' then 3 when '{DriftState.SUSPECT}' then 2 when '{DriftState.OK}' then 1 else 0
        end as severity
    from {scores}
)
select
    collection,
    any_value(evaluated_at) as evaluated_at,
    any_value(window_start) as window_start,
    any_value(window_end) as window_end,
    any_value(window_sales) as window_sales,
    any_value(number) as number,
    case max(severity)
        when 3 then '{DriftState.DRIFTED}' when 2 then '{DriftState.SUSPECT}' when 1 then '{DriftState.OK}'
        else '{DriftState.TOO_FEW}'
    end as state,
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
