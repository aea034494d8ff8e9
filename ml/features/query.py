"""The one query that turns a spine into features, for past sales and for tokens alike.

What is here: the joins. What is not: the features' formulas (``schema``), which rows need computing
(``build``).

The concept. A spine row is (collection, token_id, as_of, prefix) with the index's outputs. ``prefix`` is
the number of the collection's sales it may see: known strictly before ``as_of`` and not of its own
transaction. Everything trailing is a *state after seq*, so "what was known" is an equality join on prefix,
the same one for history and life; only what has no seq (counts over days, listings, the token's own sales)
is joined ASOF, strictly before.
"""

from __future__ import annotations

from ml.features.schema import FEATURES

#: Rows behind a state that its windows reach back to.
LOOKBACK_SALES = 30

#: Asks of other tokens that tell what the collection is offered at.
LAST_ASKS = 20

#: Columns of a spine besides its keys.
SPINE_INDEX_COLUMNS = (
    "a_mean",
    "a_level",
    "a_trait",
    "a_token",
    "a_sd",
    "a_level_sd",
    "b_mean",
    "b_level",
    "b_trait",
    "b_token",
    "b_level_sd",
)

_SUPPLIERS = """
scope as (
    select collection, min(prefix) as oldest, min(as_of) as since, max(as_of) as until
    from {spine}
    group by collection
),
index_rows as (
    select
        hedonic_index.collection, token_id, seq, known_at, log_price, a_level, a_trait, innovation_a, oldest
    from features.hedonic_index
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
-- several sales may become known at one instant: the state after all of them is what a later reader sees
visible as (
    select collection, known_at, max(seq) as seq
    from index_rows
    group by collection, known_at
),
first_sales as (
    select collection, event_time as first_sale_at
    from marts.fct_collection_state
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
),
-- Asks are numbered per collection in the order in which they became known.
asks as (
    select
        fct_listings.collection, fct_listings.token_id, fct_listings.known_at, price_eth,
        row_number() over (
            partition by fct_listings.collection order by fct_listings.known_at, order_id, price_eth
        ) as n
    from marts.fct_listings
    inner join scope using (collection)
    where event_kind = 'created' and side = 'ask' and price_eth > 0 and fct_listings.known_at < until
),
ask_states as (
    select
        collection, known_at, n,
        quantile_cont(price_eth, 0.2) over (
            partition by collection order by n rows between {last_asks} - 1 preceding and current row
        ) as ask_eth
    from asks
    qualify row_number() over (partition by collection, known_at order by n desc) = 1
),
asked as (
    select
        moments.collection, moments.as_of, ask_states.n, ask_states.known_at as asked_at, ask_states.ask_eth,
        coalesce(days_ago.n, 0) as n_before
    from (select distinct collection, as_of from moments) as moments
    asof inner join ask_states
        on moments.collection = ask_states.collection and moments.as_of > ask_states.known_at
    asof left join ask_states as days_ago
        on moments.collection = days_ago.collection and moments.as_of - interval 3 days > days_ago.known_at
),
-- A token's own ask is the price it will sell at, if it sells: what it may learn is what others are asked for.
listed as (
    select
        spine.collection, spine.token_id, spine.as_of, asked.n,
        count(*) filter (where asks.n > asked.n_before) as own_asks
    from (select distinct collection, token_id, as_of from {spine}) as spine
    inner join asked on spine.collection = asked.collection and spine.as_of = asked.as_of
    inner join asks on spine.collection = asks.collection and spine.token_id = asks.token_id
    where asks.n <= asked.n and asks.n > least(asked.n - 2 * {last_asks}, asked.n_before)
    group by all
),
asked_of_others as (
    select
        listed.collection, listed.token_id, listed.as_of, listed.own_asks, asks.price_eth, asks.known_at,
        row_number() over (
            partition by listed.collection, listed.token_id, listed.as_of order by asks.n desc
        ) as position
    from (select *, unnest(range(n - 2 * {last_asks} + 1, n + 1)) as seen from listed) as listed
    inner join asks
        on listed.collection = asks.collection and listed.seen = asks.n and listed.token_id <> asks.token_id
),
listed_view as (
    select
        collection, token_id, as_of, own_asks, max(known_at) as asked_at,
        quantile_cont(price_eth, 0.2) filter (where position <= {last_asks}) as ask_eth
    from asked_of_others
    group by collection, token_id, as_of, own_asks
),
asking as (
    select
        spine.collection, spine.token_id, spine.as_of,
        case when listed.collection is null then asked.asked_at else listed_view.asked_at end as asked_at,
        case when listed.collection is null then asked.ask_eth else listed_view.ask_eth end as ask_eth,
        asked.n - asked.n_before - coalesce(listed.own_asks, 0) as asks
    from (select distinct collection, token_id, as_of from {spine}) as spine
    inner join asked on spine.collection = asked.collection and spine.as_of = asked.as_of
    left join listed
        on spine.collection = listed.collection
        and spine.token_id = listed.token_id and spine.as_of = listed.as_of
    left join listed_view
        on spine.collection = listed_view.collection
        and spine.token_id = listed_view.token_id and spine.as_of = listed_view.as_of
),
bids as (
    select fct_listings.collection, fct_listings.known_at, price_eth
    from marts.fct_listings
    inner join scope using (collection)
    where event_kind = 'created' and side = 'bid' and token_id is null and price_eth > 0
        and fct_listings.known_at >= since - interval 7 days and fct_listings.known_at < until
),
bidding as (
    select
        collection, known_at,
        max(price_eth) over (
            partition by collection order by known_at
            range between interval 3 days preceding and current row
        ) as bid_eth
    from bids
    -- peers at one instant share a frame: any one of them is the state after it
    qualify row_number() over (partition by collection, known_at) = 1
)
"""


def feature_query(spine: str, keys: tuple[str, ...]) -> str:
    """SQL that selects ``keys`` of the spine table, ``base_log`` and every declared feature.

    Args:
        spine: table with collection, token_id, as_of, prefix, the keys and the index; a_mean not null.
        keys: columns of the spine to pass through.
    """
    passed = ",\n    ".join(f"spine.{key}" for key in keys)
    computed = ",\n    ".join(f"cast({f.expression} as {f.dtype}) as {f.name}" for f in FEATURES)
    # Left joins are taken in the order written. As inner joins they were reordered into products within a
    # collection (375 s instead of 30 s for 1.5 M sales), and a spine row without its state would vanish
    # instead of failing a check.
    return f"""
with {_SUPPLIERS.format(spine=spine, lookback=LOOKBACK_SALES, last_asks=LAST_ASKS)}
select
    {passed},
    spine.a_mean as base_log,
    {computed}
from {spine} as spine
left join marts.fct_collection_state as state
    on spine.collection = state.collection and spine.prefix = state.seq
left join trail on spine.collection = trail.collection and spine.prefix = trail.seq
left join market
    on spine.collection = market.collection and spine.as_of = market.as_of and spine.prefix = market.prefix
left join marts.dim_tokens as traits
    on spine.collection = traits.collection and spine.token_id = traits.token_id
asof left join own
    on spine.collection = own.collection and spine.token_id = own.token_id and spine.prefix >= own.seq
left join asking
    on spine.collection = asking.collection
    and spine.token_id = asking.token_id and spine.as_of = asking.as_of
asof left join bidding
    on spine.collection = bidding.collection and spine.as_of > bidding.known_at
"""
