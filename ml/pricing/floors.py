"""The floor of a collection at the time of its estimates: the lowest live ask, and a proxy made from sales.

Here: the temporary table `_floors`. Not here: estimates, or the floor proxy that models compare with
(`marts.fct_collection_state.p20_50`, which is not moved).

Concept: the floor is the lowest price at which a token can be bought now, which is the lowest live ask. Where no asks
are known, a low price of the past stands in and is called a proxy; it is moved to the time of the estimate by the
collection's index, because in a quiet collection the last 50 sales are months old.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

ASK_DAYS = 30
"""An ask without an end of its own counts for so many days: not every source reports that one was withdrawn."""

LEAST_SHARE_OF_P10 = 1.0 / 3.0
"""An ask below this share of the 10th percentile of the last 50 sales is no offer to everybody (an error, or an offer
to one buyer): the rule for prices that are no market prices (docs/domain.md, section 1)."""

PROXY_SALES = 50
PROXY_QUANTILE = 0.2


def find_floors(con: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
    """Temporary table `_floors`: one row per collection of `_facts`, all columns null where nothing is known.

    Columns: collection, lowest_ask_eth, lowest_ask_at (when it was made), live_asks, floor_proxy_eth; all as of the
    time that the collection's estimates are for.

    Args:
        con: A connection with the temporary tables `_facts` and `_choices` of `scoring`.
        as_of: Time that was asked for; nothing known at or after it is used.
    """
    con.execute(
        _FLOORS_SQL,
        {
            "as_of": as_of,
            "ask_days": ASK_DAYS,
            "least_share": LEAST_SHARE_OF_P10,
            "sales": PROXY_SALES,
            "quantile": PROXY_QUANTILE,
        },
    )


_FLOORS_SQL = """
create or replace temp table _floors as
with times as (
    -- estimates are for the time of their features
    select _facts.collection, _facts.p10_eth, coalesce(min(t.as_of), any_value(_facts.as_of)) as as_of
    from _facts
    left join _choices as c on _facts.collection = c.collection
    left join features.token_features as t on c.collection = t.collection
    group by _facts.collection, _facts.p10_eth
),

orders as (
    select
        l.collection, l.token_id, l.maker, l.marketplace, l.order_id,
        arg_min(l.price_eth, l.known_at) filter (where l.event_kind = 'created') as price_eth,
        min(l.event_time) filter (where l.event_kind = 'created') as asked_at,
        max(l.valid_until) as valid_until,
        bool_or(l.event_kind <> 'created') as has_ended,
        any_value(times.as_of) as as_of,
        any_value(times.p10_eth) as p10_eth
    from marts.fct_listings as l
    inner join times on l.collection = times.collection
    where l.side = 'ask' and l.token_id is not null and l.known_at < least(times.as_of, $as_of::timestamp)
    group by l.collection, l.token_id, l.maker, l.marketplace, l.order_id
),

-- a newer ask of the same owner on the same marketplace replaces the older one
newest as (
    select *
    from orders
    where asked_at < as_of
    qualify row_number() over (
        partition by collection, token_id, maker, marketplace order by asked_at desc, order_id desc
    ) = 1
),

-- an ask belongs to who held the token when it was made
moves as (
    select h.collection, h.token_id, h.held_since as moved_at
    from marts.fct_holdings as h
    semi join newest on h.collection = newest.collection and h.token_id = newest.token_id
    union all
    select s.collection, s.token_id, s.event_time
    from marts.fct_sales as s
    semi join newest on s.collection = newest.collection and s.token_id = newest.token_id
    where s.known_at < $as_of
),

last_moves as (
    select moves.collection, moves.token_id, max(moves.moved_at) as moved_at
    from moves
    inner join times on moves.collection = times.collection and moves.moved_at < times.as_of
    group by moves.collection, moves.token_id
),

asks as (
    select
        newest.collection,
        min({'price_eth': newest.price_eth, 'asked_at': newest.asked_at}) as lowest,
        count(distinct newest.token_id) as live_asks
    from newest
    left join last_moves
        on newest.collection = last_moves.collection and newest.token_id = last_moves.token_id
    where
        not newest.has_ended
        and newest.price_eth > 0
        and newest.price_eth >= coalesce($least_share * newest.p10_eth, 0)
        and coalesce(newest.valid_until, newest.asked_at + to_days($ask_days)) > newest.as_of
        and coalesce(newest.asked_at >= last_moves.moved_at, true)
    group by newest.collection
),

levels_now as (
    select t.collection, any_value(t.a_level)::double as level_log
    from features.token_index as t
    inner join times on t.collection = times.collection
    group by t.collection
),

past as (
    select
        s.collection, s.price_eth, s.seq, i.a_level,
        first_value(i.a_level ignore nulls) over (
            partition by s.collection order by s.seq rows between unbounded preceding and unbounded following
        ) as first_level
    from marts.fct_sales as s
    inner join times on s.collection = times.collection
    left join features.hedonic_index as i on s.sale_id = i.sale_id
    where s.is_arms_length and s.known_at < least(times.as_of, $as_of::timestamp)
    qualify row_number() over (partition by s.collection order by s.seq desc) <= $sales
),

-- without an index there are too few sales to move, and they are taken as they are
proxies as (
    select
        past.collection,
        quantile_cont(
            past.price_eth
            * exp(coalesce(levels_now.level_log - coalesce(past.a_level, past.first_level), 0)),
            $quantile
        ) as floor_proxy_eth
    from past
    left join levels_now on past.collection = levels_now.collection
    group by past.collection
)

select
    times.collection, asks.lowest.price_eth as lowest_ask_eth, asks.lowest.asked_at as lowest_ask_at,
    asks.live_asks, proxies.floor_proxy_eth
from times
left join asks on times.collection = asks.collection
left join proxies on times.collection = proxies.collection
"""
