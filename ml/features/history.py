"""The past of a collection and of a token: SQL for ``query``.

What is here: the suppliers ``trail`` (the last sales and how they surprised), ``market`` (counts over days) and ``own``
(the token's own sales). What is not: the features' formulas (`ml.features.schema`).

The concept. Everything trailing is a state after ``seq``, found by equality with the prefix; counts over days and the
token's own sales have none and are found as of that time.
"""

#: Rows behind a state that its windows reach back to.
LOOKBACK_SALES = 30

HISTORY_SUPPLIERS = """
scope as (
    select collection, min(prefix) as oldest, min(as_of) as since, max(as_of) as until
    from {spine}
    group by collection
),
index_rows as (
    select
        scoped_index.collection, sale_id, token_id, seq, known_at, log_price, a_level, a_trait, innovation_a,
        oldest
    from scoped_index
    inner join scope using (collection)
),
trail as (
    select
        collection,
        seq,
        lag(log_price, 1) over by_seq as log_price_2,
        lag(log_price, 2) over by_seq as log_price_3,
        lag(log_price, 3) over by_seq as log_price_4,
        lag(log_price, 4) over by_seq as log_price_5,
        log_price - a_trait as log_level_1,
        lag(log_price - a_trait, 1) over by_seq as log_level_2,
        lag(log_price - a_trait, 2) over by_seq as log_level_3,
        avg(innovation_a) over (by_seq rows between 2 preceding and current row) as surprise_3,
        avg(innovation_a) over (by_seq rows between 4 preceding and current row) as surprise_5,
        avg(innovation_a) over (by_seq rows between 9 preceding and current row) as surprise_10,
        avg(innovation_a) over (by_seq rows between 29 preceding and current row) as surprise_30,
        avg(abs(innovation_a)) over (by_seq rows between 29 preceding and current row) as surprise_abs_30,
        stddev_samp(innovation_a) over (by_seq rows between 29 preceding and current row) as surprise_sd_30
    from index_rows
    where seq > oldest - {lookback}
    window by_seq as (partition by collection order by seq)
),
-- several sales may become known at one time: the state after all of them is what a later reader sees
visible as (
    select collection, known_at, max(seq) as seq
    from index_rows
    group by collection, known_at
),
first_sales as (
    select collection, event_time as first_sale_at
    from scoped_states
    where seq = 1
),
moments as (
    select distinct collection, as_of, prefix
    from {spine}
),
market as (
    select
        moments.collection,
        moments.as_of,
        moments.prefix,
        first_sale_at,
        greatest(moments.prefix - coalesce(day_ago.seq, 0), 0) as sales_1d,
        greatest(moments.prefix - coalesce(week_ago.seq, 0), 0) as sales_7d,
        greatest(moments.prefix - coalesce(month_ago.seq, 0), 0) as sales_30d
    from moments
    inner join first_sales using (collection)
    asof left join visible as day_ago
        on moments.collection = day_ago.collection and moments.as_of - interval 1 day > day_ago.known_at
    asof left join visible as week_ago
        on moments.collection = week_ago.collection and moments.as_of - interval 7 days > week_ago.known_at
    asof left join visible as month_ago
        on moments.collection = month_ago.collection and moments.as_of - interval 30 days > month_ago.known_at
),
own as (
    select
        collection,
        token_id,
        seq,
        known_at,
        log_price,
        a_level,
        innovation_a,
        count(*) over own_so_far as sales,
        count(innovation_a) over own_so_far as innovations,
        sum(innovation_a) over own_so_far as innovation_sum
    from index_rows
    window own_so_far as (partition by collection, token_id order by seq)
)
"""
