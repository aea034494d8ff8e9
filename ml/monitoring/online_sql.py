"""The statements behind `online_error`: clean sales, their windows, the trend of weeks, the metrics of both sides.

Here: SQL, in the order in which it runs. Not here: what the parameters are and why
(`ml.monitoring.online_error.OnlineConfig`).
"""

from __future__ import annotations

from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.ledger.estimate_ledger import with_outdated
from ml.states import ErrorState

ALL = "all"
"""Stands for a collection in the rows over all of them."""


CLEAN_SQL = f"""
create or replace temp table online_clean as
with sold as (
    select * from {LEDGER} where is_arms_length and known_at < $as_of
    qualify known_at > max(known_at) over (partition by collection) - to_days($days)
),
judged as (
    select
        collection, sale_id, known_at, date_trunc('hour', event_time) as hour,
        outdated_days <= $current_days as is_current,
        abs(estimate_eth / price_eth - 1) as ape, estimate_eth / price_eth as ratio,
        abs(ln(estimate_eth / price_eth)) as error, abs(med_5_eth / price_eth - 1) as med_5_ape,
        abs(ln(estimate_eth / price_eth)) - abs(ln(med_5_eth / price_eth)) as excess,
        price_eth between lower_eth and upper_eth as covered
    from ({with_outdated("sold")})
    where estimate_eth > 0
)
select * from judged
union all by name
select judged.* replace ('{ALL}' as collection) from judged
"""

# Ages are days before the collection's newest sale. Where the past is more than the window, it is what lies before.
WINDOWS_SQL = """
create or replace temp table online_ranked as
with aged as (
    select
        *,
        row_number() over (partition by collection order by known_at desc, sale_id desc) as back,
        (epoch_us(max(known_at) over (partition by collection)) - epoch_us(known_at)) / 86400e6 as age
    from online_clean
    where is_current
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

TREND_SQL = """
create or replace temp table online_trend as
with weekly as (
    select collection, date_trunc('week', known_at) as week, median(ape) as mdape
    from online_clean
    where is_current
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
-- Mann-Kendall with its continuity correction; four weeks have too few orders for a result
select
    collection, weeks,
    case when weeks >= 5 then (s - sign(s)) / sqrt(weeks * (weeks - 1) * (2 * weeks + 5) / 18.0) end as z
from counted left join sums using (collection)
"""

METRICS_SQL = f"""
with sides as (
    select
        collection,
        min(known_at) filter (recent) as window_start,
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
),
outdated as (
    select c.collection, count(*) as n
    from online_clean as c inner join sides using (collection)
    where not c.is_current and c.known_at > sides.window_end - to_days($recent_days::int)
    group by c.collection
)
select
    t.collection, window_start, window_end, $as_of::timestamp as evaluated_at, t.n, coalesce(outdated.n, 0) as outdated,
    clusters, mdape, mdape_low, mdape_high, mape, level, coverage_80, med_5_mdape, past_n, past_mdape,
    past_med_5_mdape, z_past, z_relative, z_worse_than_med_5, trend.z as trend_z,
    coalesce(trend.weeks, 0) as trend_weeks,
    case
        when t.n < $min_sales or past_n < $min_past_sales then '{ErrorState.TOO_FEW}'
        when z_past >= $noise_z and z_relative >= $relative_z and mdape >= $min_ratio * past_mdape
            and mdape - past_mdape >= $min_points then '{ErrorState.DEGRADED}'
        else '{ErrorState.OK}'
    end as state
from tested as t
left join online_trend as trend on t.collection = trend.collection
left join outdated on t.collection = outdated.collection
"""
