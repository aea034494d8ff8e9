"""How wrong the estimates are now, per collection and over all, and whether that is worse than it was.

Here: rolling errors of the ledger with their noise, degradation, trend; `monitoring.online_metrics`. Not here: the
ledger (`estimate_ledger`), errors by bucket (`online_buckets`), what is done about it (`ml.acting`).

Concept: twenty sales under one constant model give anything from 9 to 40 % error (DOMAIN.md §3), so a number alone
decides nothing. A collection is degraded when three things hold together: its newest errors rank above its own earlier
ones beyond noise, by an amount worth acting on, and they grew by more than those of the median of the last five sales
did. The last is what tells a broken model from a market that became harder for everybody. Sales of one hour share what
moved the market in it, so an hour counts once in every error of a mean.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from ml.evaluation.estimate_ledger import TABLE as LEDGER
from ml.models.tables import table_exists

TABLE = "monitoring.online_metrics"
ALL = "all"
"""Stands for a collection in the rows over all of them."""

OK, DEGRADED, TOO_FEW = "ok", "degraded", "too_few"

COLUMNS = (
    "collection varchar, window_end timestamp, evaluated_at timestamp, n bigint, clusters bigint, mdape double,"
    " mdape_low double, mdape_high double, mape double, level double, coverage_80 double, med_5_mdape double,"
    " past_n bigint, past_mdape double, past_med_5_mdape double, z_past double, z_relative double,"
    " z_worse_than_med_5 double, trend_z double, trend_weeks bigint, state varchar"
)
"""Columns of `monitoring.online_metrics`; key (collection, window_end), errors and shares are fractions.

`window_end`: when the newest sale of the window became known; `n` sales in `clusters` distinct hours; `mdape_low` and
`mdape_high`: 95 % interval of the median by order statistics, null with fewer than six sales; `past_*`: the sales just
before the window; `z_past`: rank sum of the new errors among the past ones; `z_relative`: growth of the excess of
|log error| over that of `med_5`; `z_worse_than_med_5`: paired excess over `med_5` in the window; `trend_z`:
Mann-Kendall over `trend_weeks` weekly medians, positive when errors grow; `state`: ok, degraded or too_few.
"""


@dataclass(frozen=True)
class OnlineConfig:
    """Windows and guards.

    Attributes:
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
        keep_days: Market time for which rows are kept.
    """

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
    con: duckdb.DuckDBPyConnection, now: datetime, config: OnlineConfig | None = None
) -> OnlineUpdate:
    """Evaluate all collections at market time `now` and keep what changed, in the caller's transaction.

    Args:
        con: A write connection of the lake; without a ledger nothing is found.
        now: Sales known at or after it are not looked at.
        config: Windows and guards.
    """
    began, config = time.monotonic(), config or OnlineConfig()
    con.execute("create schema if not exists monitoring")
    con.execute(f"create table if not exists {TABLE} ({COLUMNS})")
    if not table_exists(con, LEDGER):
        return OnlineUpdate(0, (), 0, 0, None, time.monotonic() - began)
    evaluate_online(con, now, config, "online_now")
    con.execute(
        f"delete from online_now using {TABLE} as t where {_SAME} and t.state = online_now.state"
        " and t.n = online_now.n and t.past_n = online_now.past_n and t.mdape = online_now.mdape"
        " and t.past_mdape is not distinct from online_now.past_mdape"
        " and t.trend_z is not distinct from online_now.trend_z"
    )
    con.execute(f"delete from {TABLE} as t using online_now where {_SAME}")
    written = con.execute(f"insert into {TABLE} by name select * from online_now").fetchone()
    con.execute(
        f"delete from {TABLE} where window_end < $1::timestamp - to_days($2::int)",
        [now, int(config.keep_days)],
    )
    con.execute("drop table temp.online_now")
    rows = con.execute(
        f"select collection, state, mdape from ({newest_online()}) order by mdape / past_mdape desc nulls last, 1"
    ).fetchall()
    own = [row for row in rows if row[0] != ALL]
    return OnlineUpdate(
        collections=len(own),
        degraded=tuple(name for name, state, _ in own if state == DEGRADED),
        too_few=sum(state == TOO_FEW for _, state, _ in own),
        rows_written=int(written[0]) if written else 0,
        overall=next((mdape for name, _, mdape in rows if name == ALL), None),
        seconds=time.monotonic() - began,
    )


_SAME = "t.collection = online_now.collection and t.window_end = online_now.window_end"


def newest_online() -> str:
    """Query for the newest row of each collection and of `all`."""
    return f"select * from {TABLE} qualify row_number() over (partition by collection order by window_end desc) = 1"


def evaluate_online(con: duckdb.DuckDBPyConnection, now: datetime, config: OnlineConfig, into: str) -> None:
    """Leave the temporary table `into` with the columns of `COLUMNS`: one row per collection, and one for all."""
    con.execute(_CLEAN_SQL, {"now": now, "days": int(config.past_days + config.recent_days)})
    con.execute(
        _WINDOWS_SQL,
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
    con.execute(_TREND_SQL, {"weeks": config.trend_weeks, "min_sales": config.trend_min_sales})
    try:
        con.execute(
            f"create or replace temp table {into} as {_METRICS_SQL}",
            {
                "now": now,
                **{
                    name: getattr(config, name)
                    for name in (
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


_CLEAN_SQL = f"""
create or replace temp table online_clean as
with told as (
    select
        collection, sale_id, known_at, date_trunc('hour', event_time) as hour,
        abs(estimate_eth / price_eth - 1) as ape, estimate_eth / price_eth as ratio,
        abs(ln(estimate_eth / price_eth)) as error, abs(med_5_eth / price_eth - 1) as med_5_ape,
        abs(ln(estimate_eth / price_eth)) - abs(ln(med_5_eth / price_eth)) as excess,
        price_eth between lower_eth and upper_eth as covered
    from {LEDGER}
    where is_arms_length and estimate_eth > 0 and known_at < $now and known_at >= $now::timestamp - to_days($days)
)
select * from told
union all by name
select told.* replace ('{ALL}' as collection) from told
"""

# Ages are days before the collection's newest sale. Where the past is more than the window, it is what lies before.
_WINDOWS_SQL = """
create or replace temp table online_ranked as
with aged as (
    select
        *,
        row_number() over (partition by collection order by known_at desc, sale_id desc) as back,
        (epoch_us(max(known_at) over (partition by collection)) - epoch_us(known_at)) / 86400e6 as age
    from online_clean
),
chosen as (
    select
        *, age < $recent_days and (back <= $recent_sales or age < $recent_full) as recent
    from aged
    where age < $past_days and (back <= $reach_sales or age < $past_full)
),
-- each side's own ranks, and the rank among both: ties are shared
ranked as (
    select
        *,
        row_number() over (partition by collection, recent order by ape, sale_id) as own_rank,
        rank() over (partition by collection order by error) as first_rank,
        count(*) over (partition by collection, error) as tied,
        count(*) over (partition by collection, recent) as n
    from chosen
)
select *, first_rank + (tied - 1) / 2.0 as rank_of_both from ranked
"""

_TREND_SQL = """
create or replace temp table online_trend as
with weekly as (
    select collection, date_trunc('week', known_at) as week, median(ape) as mdape
    from online_clean
    group by collection, week
    having count(*) >= $min_sales
    qualify row_number() over (partition by collection order by week desc) <= $weeks
),
sums as (
    select a.collection, sum(sign(b.mdape - a.mdape)) as s
    from weekly as a inner join weekly as b on a.collection = b.collection and a.week < b.week
    group by a.collection
),
counted as (select collection, count(*) as weeks from weekly group by collection)
-- Mann-Kendall with its continuity correction; four weeks have too few orders to say anything
select
    collection, weeks,
    case when weeks >= 5 then (s - sign(s)) / sqrt(weeks * (weeks - 1) * (2 * weeks + 5) / 18.0) end as z
from counted left join sums using (collection)
"""

_METRICS_SQL = f"""
with sides as (
    select
        collection,
        max(known_at) as window_end,
        count(*) filter (recent) as n,
        count(distinct hour) filter (recent) as clusters,
        median(ape) filter (recent) as mdape,
        max(ape) filter (recent and own_rank = o.low) as mdape_low,
        max(ape) filter (recent and own_rank = o.high) as mdape_high,
        avg(ape) filter (recent) as mape,
        median(ratio) filter (recent) as level,
        avg(covered::int) filter (recent) as coverage_80,
        median(med_5_ape) filter (recent) as med_5_mdape,
        count(*) filter (not recent) as past_n,
        count(distinct hour) filter (not recent) as past_clusters,
        median(ape) filter (not recent) as past_mdape,
        median(med_5_ape) filter (not recent) as past_med_5_mdape,
        sum(rank_of_both) filter (recent) as rank_sum,
        avg(excess) filter (recent) as excess_now,
        var_samp(excess) filter (recent) as excess_now_var,
        avg(excess) filter (not recent) as excess_past,
        var_samp(excess) filter (not recent) as excess_past_var
    from online_ranked as r
    left join online_orders as o on r.recent and r.n = o.size
    group by collection
),
tested as (
    select
        *,
        -- Mann-Whitney; an hour counts once
        case when past_n > 0 then
            (rank_sum - n * (n + 1) / 2.0 - n * past_n / 2.0) / sqrt(n * past_n * (n + past_n + 1.0) / 12.0)
            * sqrt(clusters / n)
        end as z_past,
        (excess_now - excess_past)
        / nullif(sqrt(excess_now_var / clusters + excess_past_var / past_clusters), 0) as z_relative,
        excess_now / nullif(sqrt(excess_now_var / clusters), 0) as z_worse_than_med_5
    from sides
)
select
    t.collection, window_end, $now::timestamp as evaluated_at, n, clusters, mdape, mdape_low, mdape_high, mape, level,
    coverage_80, med_5_mdape, past_n, past_mdape, past_med_5_mdape, z_past, z_relative, z_worse_than_med_5,
    trend.z as trend_z, coalesce(trend.weeks, 0) as trend_weeks,
    case
        when n < $min_sales or past_n < $min_past_sales then '{TOO_FEW}'
        when z_past >= $noise_z and z_relative >= $relative_z and mdape >= $min_ratio * past_mdape
            and mdape - past_mdape >= $min_points then '{DEGRADED}'
        else '{OK}'
    end as state
from tested as t
left join online_trend as trend on t.collection = trend.collection
"""
