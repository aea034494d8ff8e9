"""The key of an event: transaction, position of the log, position within the log.

Here: filling in what rows do not say, over all files together. Not here: which of several rows of one sale counts (the
marts decide). A sale is one token of one collection: two tokens of a transaction never share a key, be they in two
files, on two pages or under one event; and the same sale in two files of one source has the same key twice.
"""

from __future__ import annotations

import pyarrow as pa

from sources.values import connect

_SAME = {
    "sales": ("collection", "token_id", "price_native", "buyer", "seller"),
    "transfers": ("collection", "token_id", "from_address", "to_address"),
}


def with_keys(table: str, rows: pa.Table) -> pa.Table:
    """Rows with their keys.

    Without a log index it is the ordinal of the row within its transaction, rows that agree in everything counted once;
    without a hash the first row of the sale names it (`row:file:line`); without a position within the log it
    is the ordinal of the token within it.

    Args:
        table: `sales` or `transfers`.
        rows: Typed rows with `_has_tx`, `_has_log` and `_has_sub`, collections filled in.
    """
    same = ", ".join(_SAME[table])
    with connect() as con:
        needed = {
            "chain",
            "tx_hash",
            "log_index",
            "sub_index",
            "event_time",
            "source",
            "source_row",
            *_SAME[table],
        }
        con.register("given", rows.select([*sorted(needed), "_has_tx", "_has_log", "_has_sub"]))
        con.execute("create temp table r as select *, row_number() over () as n from given")
        keys = con.execute(
            f"""
            with crowded as (
                select chain, tx_hash from r where _has_tx group by all having count(*) > 1
            ),
            in_crowd as (
                select r.*, min(n) over (partition by chain, tx_hash, source, {same}, event_time) as first_row,
                    min(n) over (partition by chain, tx_hash, log_index, collection, token_id) as first_of_token,
                    min((collection, token_id)) over same_key <> max((collection, token_id)) over same_key as is_shared
                from r semi join crowded using (chain, tx_hash) where r._has_tx
                window same_key as (partition by chain, tx_hash, log_index, sub_index)
            ),
            counted as (
                select n,
                    case when _has_log then log_index
                        else dense_rank() over (partition by chain, tx_hash order by first_row) - 1 end as log_index,
                    case when (_has_sub and not is_shared) or not _has_log then sub_index
                        else dense_rank() over (partition by chain, tx_hash, log_index order by first_of_token) - 1
                    end as sub_index
                from in_crowd
            ),
            nameless as (
                select n, first_value(source_row) over (
                    partition by chain, source, {same}, event_time order by n
                ) as named_by
                from r where not _has_tx
            )
            select coalesce('row:' || nameless.named_by, r.tx_hash) as tx_hash,
                coalesce(counted.log_index, r.log_index)::bigint as log_index,
                coalesce(counted.sub_index, r.sub_index)::bigint as sub_index
            from r left join counted using (n) left join nameless using (n) order by r.n
            """
        ).to_arrow_table()
    for column in ("tx_hash", "log_index", "sub_index"):
        where = rows.schema.get_field_index(column)
        rows = rows.set_column(
            where, rows.schema.field(column), keys.column(column).cast(rows.schema.field(column).type)
        )
    return rows
