"""Which part of which collection has to be computed again.

What is here: SQL that compares ``marts.fct_sales`` with what is stored. What is not: the numbers
(`ml.index.update`), and the columns (``ml.features.tables``).

The concept. Every stored row keeps the hash of the sale it was computed from, every collection the hash of
all its sales and traits. Collections whose hashes differ are compared row by row; their tail from the
first differing ``seq`` is computed again. So new sales, late sales that shift the known order, corrections
and removals are one case.
"""

from __future__ import annotations

import duckdb

from ml.compute.asof_join import sorted_asof_joins
from ml.index.params import IndexParams

# Everything about a sale that a feature is computed from: who dealt is part of it (owner effects).
SALE_HASH = "hash(seq, sale_id, token_id, tx_hash, price_eth, event_time, known_at, as_of, buyer, seller)"

_CURRENT = f"""
create or replace temp table index_current as
with sales as (
    select
        collection,
        count(*) as sales,
        min(seq) as first_seq,
        max(seq) as last_seq,
        max(known_at) as known_at,
        count(*) filter (
            where price_eth is null or price_eth <= 0 or not isfinite(price_eth)
                or known_at is null or event_time is null or as_of is null
        ) as incomplete,
        bit_xor({SALE_HASH}) as sales_hash
    from marts.fct_sales
    where seq is not null
    group by collection
),
traits as (
    select
        collection,
        count(*) as tokens,
        coalesce(max(len(trait_codes)), 0) as types,
        coalesce(min(len(trait_codes)) filter (where len(trait_codes) > 0), 0) as fewest_types,
        bit_xor(hash(token_id, trait_codes, trait_information)) as traits_hash
    from marts.dim_tokens
    where collection in (select collection from sales)
    group by collection
)
select
    sales.*,
    coalesce(tokens, 0) as tokens,
    coalesce(types, 0) as types,
    coalesce(fewest_types, 0) as fewest_types,
    coalesce(traits_hash, 0) as traits_hash
from sales
left join traits using (collection)
"""

# Collections to compute, and the first seq that differs (1 when traits or parameters changed).
_WORK = f"""
create or replace temp table index_work as
with changed as (
    select
        index_current.*,
        coalesce(
            index_state.traits_hash = index_current.traits_hash and params_fingerprint = $fingerprint, false
        ) as same_rules
    from index_current
    left join features.index_state using (collection)
    where index_state.sales_hash is distinct from index_current.sales_hash
        or index_state.state_seq is distinct from index_current.sales
        or not same_rules
),
sales as (
    select
        collection,
        seq,
        {SALE_HASH} as row_hash
    from marts.fct_sales
    where seq is not null and collection in (select collection from changed where same_rules)
),
stored as (
    select collection, seq, row_hash
    from features.hedonic_index
    where collection in (select collection from changed where same_rules)
),
differing as (
    select
        coalesce(sales.collection, stored.collection) as collection,
        min(coalesce(sales.seq, stored.seq)) as seq
    from sales
    full join stored on sales.collection = stored.collection and sales.seq = stored.seq
    where sales.row_hash is distinct from stored.row_hash
    group by 1
),
kept as (
    select changed.*, case when same_rules then coalesce(differing.seq, sales + 1) - 1 else 0 end as unchanged
    from changed
    left join differing using (collection)
)
-- the first sales anchor y0, and with it every noise: where one of them is new, nothing is kept
select * exclude (unchanged), case when unchanged < $anchor_sales then 0 else unchanged end as start
from kept
"""

# Every row of the collections to compute, with the number of sales visible to it: known strictly before its
# as-of time, and never one of its own transaction.
_ROWS = f"""
create or replace temp table index_rows as
with sales as (
    select
        collection, sale_id, token_id, seq, known_at, as_of, tx_hash,
        ln(price_eth) as log_price,
        epoch_us(event_time) / 86400e6 as day,
        epoch_us(as_of) / 86400e6 as query_day,
        {SALE_HASH} as row_hash,
        min(seq) over (partition by collection, tx_hash) as first_of_transaction
    from marts.fct_sales
    where seq is not null and collection in (select collection from index_work)
),
states as (
    select collection, known_at, max(seq) as seq
    from sales
    group by collection, known_at
)
select
    sales.* exclude (tx_hash, first_of_transaction),
    least(coalesce(states.seq, 0), first_of_transaction - 1) as prefix
from sales
asof left join states on sales.collection = states.collection and sales.as_of > states.known_at
"""

_WINDOWS = """
create or replace temp table index_plan as
with anchors as (
    select collection, median(log_price) filter (where seq <= $anchor_sales) as anchor_log
    from index_rows
    group by collection
),
oldest as (
    select index_rows.collection, min(prefix) as prefix
    from index_rows
    inner join index_work using (collection)
    where seq > start
    group by index_rows.collection
)
select
    index_work.*,
    anchor_log,
    greatest(0, (least(start, coalesce(oldest.prefix, start)) // $step - $keep) * $step) as first
from index_work
inner join anchors using (collection)
left join oldest using (collection)
"""


class IndexInputError(ValueError):
    """The marts break the contract the index is computed from."""


def plan_work(con: duckdb.DuckDBPyConnection, params: IndexParams) -> None:
    """Leave the temporary tables ``index_plan`` (collections to compute) and ``index_rows`` (their sales).

    Raises:
        IndexInputError: seq is not 1..n, a price is missing, or tokens of a collection differ in trait types.
    """
    con.execute(_CURRENT)
    broken = con.execute(
        """
        select collection, sales, first_seq, last_seq, incomplete, fewest_types, types, tokens
        from index_current
        where first_seq != 1 or last_seq != sales or incomplete > 0 or types != fewest_types or tokens = 0
        order by collection
        limit 1
        """
    ).fetchone()
    if broken:
        raise IndexInputError(
            f"collection {broken[0]!r}: expected seq 1..{broken[1]} with a positive price and times each, and tokens "
            f"with none or all of its trait types in dim_tokens; found seq {broken[2]}..{broken[3]}, "
            f"{broken[4]} rows without them, {broken[5]} to {broken[6]} trait types and "
            f"{broken[7]} tokens; rebuild the marts of this collection"
        )
    con.execute(_WORK, {"fingerprint": params.fingerprint(), "anchor_sales": params.anchor_sales})
    with sorted_asof_joins(con):
        con.execute(_ROWS)
    con.execute(
        _WINDOWS, {"anchor_sales": params.anchor_sales, "step": params.step, "keep": params.keep_steps}
    )


def forget_outdated(con: duckdb.DuckDBPyConnection) -> int:
    """Delete what is about to be computed again or no longer exists; returns collections that disappeared."""
    gone = con.execute(
        """
        select count(*)
        from features.index_state
        where collection not in (select collection from index_current)
        """
    ).fetchone()
    con.execute(
        """
        delete from features.hedonic_index
        where exists (
            select 1 from index_plan
            where index_plan.collection = hedonic_index.collection and hedonic_index.seq > index_plan.start
        ) or collection not in (select collection from index_current)
        """
    )
    for table in ("token_index", "index_state"):
        con.execute(
            f"""
            delete from features.{table}
            where collection in (select collection from index_plan)
                or collection not in (select collection from index_current)
            """
        )
    return int(gone[0]) if gone else 0
