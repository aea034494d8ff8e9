"""Asks and bids that the features of a token may use: SQL for ``query``.

What is here: the suppliers ``asking`` (asks on *other* tokens of the collection) and ``bidding`` (bids on any of
them). What is not: the features' formulas (`ml.features.schema`).

The concept. A token's own ask is the price it will sell at, if it sells, and so is a filled one: both would copy the
answer. What a token may learn from is what others are asked for.
"""

#: Asks of other tokens that show what the collection is offered at.
LAST_ASKS = 20

LISTING_SUPPLIERS = """
-- Asks are numbered per collection in the order in which they became known.
asks as (
    select
        scoped_listings.collection, scoped_listings.token_id, scoped_listings.known_at, price_eth,
        row_number() over (
            partition by scoped_listings.collection order by scoped_listings.known_at, order_id, price_eth
        ) as n
    from scoped_listings
    inner join scope using (collection)
    where event_kind = 'created' and side = 'ask' and price_eth > 0 and scoped_listings.known_at < until
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
    select scoped_listings.collection, scoped_listings.known_at, price_eth
    from scoped_listings
    inner join scope using (collection)
    where event_kind = 'created' and side = 'bid' and token_id is null and price_eth > 0
        and scoped_listings.known_at >= since - interval 7 days and scoped_listings.known_at < until
),
bidding as (
    select
        collection, known_at,
        max(price_eth) over (
            partition by collection order by known_at
            range between interval 3 days preceding and current row
        ) as bid_eth
    from bids
    -- peers at one time share a frame: any one of them is the state after it
    qualify row_number() over (partition by collection, known_at) = 1
)
"""
