"""A small market written straight into marts, as the contract of the brief has them, and rewritten at will."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from lake.tables import create_missing
from ml.tables.registry import TABLES

_STATES = """
create or replace table marts.fct_collection_state as
select
    collection, seq, known_at, event_time, price_eth as last_price_eth,
    median(price_eth) over (w rows between 4 preceding and current row) as med_5,
    median(price_eth) over (w rows between 9 preceding and current row) as med_10,
    median(price_eth) over (w rows between 29 preceding and current row) as med_30,
    median(price_eth) over (w rows between 99 preceding and current row) as med_100,
    quantile_cont(price_eth, .2) over (w rows between 19 preceding and current row) as p20_20,
    quantile_cont(price_eth, .2) over (w rows between 49 preceding and current row) as p20_50,
    quantile_cont(price_eth, .1) over (w rows between 49 preceding and current row) as p10_50,
    quantile_cont(price_eth, .8) over (w rows between 49 preceding and current row) as p80_50,
    min(price_eth) over (w rows between 9 preceding and current row) as min_10,
    ln(quantile_cont(price_eth, .8) over (w rows between 49 preceding and current row)
        / quantile_cont(price_eth, .1) over (w rows between 49 preceding and current row)) as spread_50,
    lag(event_time, 29) over w as started_30_at,
    lag(event_time, 4) over w as started_5_at
from marts.fct_sales
where seq is not null
window w as (partition by collection order by seq)
"""

_TOKENS = """
create or replace table marts.dim_tokens as
with counted as (
    select collection, type, value, count(*) as tokens
    from traits
    group by all
),
shares as (
    select
        collection, type, value, -ln(tokens / sum(tokens) over (partition by collection, type)) as information,
        row_number() over (partition by collection order by type, value) - 1 as code
    from counted
),
listed as (
    select
        collection, token_id, list(value order by type) as trait_values,
        list(code::integer order by type) as trait_codes, list(information order by type) as trait_information,
        count(*) as trait_count, sum(information) as rarity_score
    from traits
    inner join shares using (collection, type, value)
    group by all
)
select
    tokens.collection, tokens.token_id,
    coalesce(trait_values, []) as trait_values, coalesce(trait_codes, []) as trait_codes,
    coalesce(trait_information, []) as trait_information,
    trait_count, rarity_score,
    case when rarity_score is not null
        then percent_rank() over (partition by tokens.collection order by rarity_score) end as rarity_pct
from (select collection, token_id from traits union select collection, token_id from marts.fct_sales) as tokens
left join listed using (collection, token_id)
"""  # fmt: skip


_TYPES = """
create or replace table marts.dim_trait_values as
select
    collection, type as trait_type, value as trait_value,
    dense_rank() over (partition by collection order by type) - 1 as type_code
from (select distinct collection, type, value from traits)
"""


def make_sales(seed: int = 0, sizes: tuple[int, ...] = (60, 25, 8, 2), tokens: int = 15) -> pd.DataFrame:
    """Sales of a few collections, some in one transaction, some reported a day late, some of uncertain time."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, n in enumerate(sizes):
        event = pd.Timestamp("2024-01-01") + pd.to_timedelta(
            np.sort(rng.integers(0, 90 * 86400, n)), unit="s"
        )
        uncertainty = rng.choice([0.0, 0.0, 0.0, 1800.0], n)
        part = pd.DataFrame(
            {
                "collection": f"c{number}",
                "token_id": rng.integers(0, tokens, n).astype(str),
                "tx_hash": [f"tx{number}-{i}" for i in range(n)],
                "event_time": event,
                "time_uncertainty_s": uncertainty,
                "price_eth": np.exp(rng.normal(number, 0.4, n)),
                "buyer": rng.choice(["ann", "bob", "cid", "dot"], n),
                "seller": rng.choice(np.array(["ann", "bob", "eve", None]), n),
            }
        )
        part["known_at"] = part.event_time + pd.to_timedelta(uncertainty, unit="s")
        late = rng.random(n) < 0.1
        part.loc[late, "known_at"] += pd.Timedelta(days=1)
        for i in range(3, n, 7):
            for column in ("event_time", "time_uncertainty_s", "tx_hash", "known_at"):
                part.loc[i, column] = part.loc[i - 1, column]
        parts.append(part)
    sales = pd.concat(parts, ignore_index=True)
    sales["sale_id"] = [f"s{i}" for i in range(len(sales))]
    return sales


def make_traits(collections: tuple[str, ...] = ("c0", "c1", "c3"), tokens: int = 15) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        [
            {"collection": c, "token_id": str(t), "type": kind, "value": str(rng.integers(0, 4))}
            for c in collections
            for t in range(tokens)
            for kind in ("eyes", "hat", "mouth")
        ]
    )


def make_listings(seed: int = 2, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ask = rng.random(n) < 0.7
    known = pd.Timestamp("2024-01-10") + pd.to_timedelta(rng.integers(0, 60 * 86400, n), unit="s")
    return pd.DataFrame(
        {
            "collection": rng.choice(["c0", "c1"], n),
            "token_id": np.where(ask, rng.integers(0, 15, n).astype(str), None),  # type: ignore[call-overload]
            "order_id": [f"o{i}" for i in range(n)],
            "event_kind": rng.choice(["created", "created", "cancelled"], n),
            "side": np.where(ask, "ask", "bid"),
            "price_eth": np.exp(rng.normal(0.3, 0.4, n)),
            "event_time": known,
            "known_at": known,
            "valid_until": pd.NaT,
            "maker": [f"maker {i}" for i in range(n)],
            "marketplace": "venue",
        }
    )


def write_marts(
    con: duckdb.DuckDBPyConnection,
    sales: pd.DataFrame,
    traits: pd.DataFrame | None = None,
    listings: pd.DataFrame | None = None,
) -> None:
    """Write the marts the index and the features read, with the known order of the brief.

    Sales may carry `is_wash`: such a sale is not at arm's length and has no place in the known order.
    """
    sales = sales if "is_wash" in sales else sales.assign(is_wash=False)
    sales = sales if "buyer" in sales else sales.assign(buyer="buyer", seller="seller")
    traits = make_traits() if traits is None else traits
    listings = make_listings() if listings is None else listings
    con.execute("create schema if not exists marts; create schema if not exists features")
    for name, frame in (("sales", sales), ("traits", traits), ("listings", listings)):
        con.register(name, frame)
    con.execute(
        """
        create or replace table marts.fct_sales as
        select
            sale_id, 'ethereum' as "chain", collection, token_id, tx_hash, 0 as log_index, event_time,
            time_uncertainty_s, known_at, buyer, seller, is_wash,
            event_time - to_microseconds(cast(time_uncertainty_s * 1e6 as bigint)) as as_of, price_eth,
            not is_wash as is_arms_length,
            case when not is_wash then row_number() over (
                partition by collection, is_wash order by known_at, event_time, tx_hash, sale_id
            ) end as seq
        from sales
        """
    )
    con.execute(
        "create or replace table marts.dim_collections as"
        ' select distinct collection, "chain", null::timestamp as covered_until,'
        " null::varchar as contract, null::varchar as name from marts.fct_sales"
    )
    con.execute(_STATES)
    con.execute(_TOKENS)
    con.execute(_TYPES)
    con.execute("create or replace table marts.fct_listings as select * from listings")
    con.execute(
        """
        create or replace table marts.fct_holdings as
        select collection, token_id, arg_max(buyer, (event_time, sale_id)) as owner, max(event_time) as held_since
        from marts.fct_sales
        group by all
        """
    )
    create_missing(con, TABLES)
    for name in ("sales", "traits", "listings"):
        con.unregister(name)
