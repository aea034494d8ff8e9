"""How wrong the estimates are now, per collection and over all, and whether that is worse than it was.

Here: rolling errors of the ledger with their noise, degradation, trend; `monitoring.online_metrics`. Not here: the
ledger (`ml.ledger.estimate_ledger`), errors by bucket (`ml.monitoring.error_buckets`), what is done about it
(`ml.retraining`).

Concept: twenty sales under one constant model give anything from 9 to 40 % error (docs/domain.md, section 3), so a
number alone decides nothing. A collection is degraded when three things hold together: its newest errors rank above its
own earlier ones beyond noise, by an amount worth acting on, and they grew by more than those of the median of the last
five sales did. The last separates a broken model from a market that became harder for every model. Sales of one hour
share what moved the market in it, so an hour counts once in every error of a mean.

A sale is left out when its collection was not valued for days although it had sold since: that is a fact about
the schedule, not about the model. An estimate that is old because nothing happened is current. The service levels and
`error_buckets` judge what readers saw, and leave nothing out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from ml.compute.asof_join import sorted_asof_joins
from ml.ledger.estimate_ledger import CURRENT_DAYS
from ml.monitoring.online_sql import (
    ALL,
    CLEAN_SQL,
    METRICS_SQL,
    TREND_SQL,
    WINDOWS_SQL,
)
from ml.states import ErrorState
from ml.tables.monitoring import ONLINE_METRICS

__all__ = [
    "ALL",
    "TABLE",
    "OnlineConfig",
    "newest_online",
    "update_online_metrics",
]

TABLE = ONLINE_METRICS.name


@dataclass(frozen=True)
class OnlineConfig:
    """Windows and guards.

    Attributes:
        current_days: Days for which an estimate is judged after a sale that it does not know.
        recent_sales: Newest sales of a collection that are judged.
        recent_full_days: All sales of so many days are judged, also when there are more.
        recent_days: Sales older than this (before the newest) are not recent.
        past_sales: Sales before the window that they are held against.
        past_full_days: All sales of so many days are, also when there are more.
        past_days: Sales older than this are not compared with.
        min_sales: Sales in the window below which nothing is decided.
        min_past_sales: Sales before the window below which nothing is decided.
        noise_z: Standard errors by which the new errors must rank above the past ones.
        relative_z: Standard errors by which the model must have lost against `med_5`.
        min_ratio: Growth of the MdAPE below which acting is not worth it.
        min_points: The same as a difference of fractions.
        confidence: Coverage of the interval of the median.
        trend_weeks: Weeks of the trend test.
        trend_min_sales: Sales a week needs to count in it.
        keep_days: As-of time for which rows are kept; the newest of a collection stays.
    """

    current_days: float = CURRENT_DAYS
    recent_sales: int = 50
    recent_full_days: float = 7
    recent_days: float = 30
    past_sales: int = 200
    past_full_days: float = 60
    past_days: float = 210
    min_sales: int = 20
    min_past_sales: int = 40
    noise_z: float = 3.0
    relative_z: float = 1.645
    min_ratio: float = 1.15
    min_points: float = 0.01
    confidence: float = 0.95
    trend_weeks: int = 12
    trend_min_sales: int = 5
    keep_days: float = 400


@dataclass(frozen=True)
class OnlineUpdate:
    """What one evaluation found.

    Attributes:
        collections: Collections with a window.
        degraded: Names of the degraded ones, `all` left out, worst first.
        too_few: Collections with too few sales to judge.
        rows_written: Rows that are new or changed.
        overall: MdAPE over all collections, None without a sale.
        seconds: Time it took.
    """

    collections: int
    degraded: tuple[str, ...]
    too_few: int
    rows_written: int
    overall: float | None
    seconds: float


def update_online_metrics(
    con: duckdb.DuckDBPyConnection, as_of: datetime, config: OnlineConfig | None = None
) -> OnlineUpdate:
    """Evaluate all collections at as-of time `as_of` and keep what changed, in the caller's transaction.

    Args:
        con: A write connection of the lake.
        as_of: Sales known at or after it are not used.
        config: Windows and guards.
    """
    began, config = time.monotonic(), config or OnlineConfig()
    evaluate_online(con, as_of, config, "online_now")
    con.execute(
        f"delete from online_now using {TABLE} as t where {_SAME} and t.state = online_now.state"
        " and t.n = online_now.n and t.past_n = online_now.past_n and t.mdape = online_now.mdape"
        " and t.past_mdape is not distinct from online_now.past_mdape"
        " and t.trend_z is not distinct from online_now.trend_z"
        " and t.outdated is not distinct from online_now.outdated"
    )
    con.execute(f"delete from {TABLE} as t using online_now where {_SAME}")
    written = con.execute(f"insert into {TABLE} by name select * from online_now").fetchone()
    con.execute(
        f"delete from {TABLE} where window_end < $1::timestamp - to_days($2::int)"
        f" and (collection, window_end) not in (select (collection, max(window_end)) from {TABLE} group by collection)",
        [as_of, int(config.keep_days)],
    )
    con.execute("drop table temp.online_now")
    rows = con.execute(
        f"select collection, state, mdape from ({newest_online()}) order by mdape / past_mdape desc nulls last, 1"
    ).fetchall()
    own = [row for row in rows if row[0] != ALL]
    return OnlineUpdate(
        collections=len(own),
        degraded=tuple(name for name, state, _ in own if state == ErrorState.DEGRADED),
        too_few=sum(state == ErrorState.TOO_FEW for _, state, _ in own),
        rows_written=int(written[0]) if written else 0,
        overall=next((mdape for name, _, mdape in rows if name == ALL), None),
        seconds=time.monotonic() - began,
    )


_SAME = "t.collection = online_now.collection and t.window_end = online_now.window_end"


def newest_online() -> str:
    """Query for the newest row of each collection and of `all`."""
    newest = "row_number() over (partition by collection order by window_end desc) = 1"
    return f"select * from {TABLE} qualify {newest}"


def evaluate_online(con: duckdb.DuckDBPyConnection, as_of: datetime, config: OnlineConfig, into: str) -> None:
    """Leave the temporary table `into` with the columns of `COLUMNS`: one row per collection, and one for all."""
    days = int(config.past_days + config.recent_days)
    with sorted_asof_joins(con):
        con.execute(CLEAN_SQL, {"as_of": as_of, "days": days, "current_days": config.current_days})
    con.execute(
        WINDOWS_SQL,
        {
            "recent_sales": config.recent_sales,
            "recent_full": config.recent_full_days,
            "recent_days": config.recent_days,
            "reach_sales": config.recent_sales + config.past_sales,
            "past_full": config.recent_full_days + config.past_full_days,
            "past_days": config.past_days,
        },
    )
    sizes = [row[0] for row in con.execute("select distinct n from online_ranked where recent").fetchall()]
    con.register("online_orders", _median_orders(np.array(sizes, dtype=np.int64), config.confidence))
    con.execute(TREND_SQL, {"weeks": config.trend_weeks, "min_sales": config.trend_min_sales})
    try:
        con.execute(
            f"create or replace temp table {into} as {METRICS_SQL}",
            {
                "as_of": as_of,
                **{
                    name: getattr(config, name)
                    for name in (
                        "recent_days",
                        "min_sales",
                        "min_past_sales",
                        "noise_z",
                        "relative_z",
                        "min_ratio",
                        "min_points",
                    )
                },
            },
        )
    finally:
        con.unregister("online_orders")
        for name in ("clean", "ranked", "trend"):
            con.execute(f"drop table if exists temp.online_{name}")


def _median_orders(sizes: np.ndarray, confidence: float) -> pa.Table:
    """Ranks (from 1) between which the median lies with the confidence, by the binomial distribution; 0 is none."""
    from scipy.stats import binom

    low = binom.ppf((1 - confidence) / 2, sizes, 0.5).astype(np.int64) if len(sizes) else sizes
    return pa.table({"size": sizes, "low": low, "high": np.where(low > 0, sizes + 1 - low, 0)})
