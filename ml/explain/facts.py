"""What is known of tokens without any model: their stored estimate or its absence, their last sale, the floor.

Here: one read per collection. Not here: anything computed from them.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from ml.states import NoValue

REASONS = {
    NoValue.FEW_SALES: "Fewer than three sales of the collection are known: nothing can be inferred from so few.",
    NoValue.INACTIVE: "The collection has not traded for more than 90 days: older prices say little about today.",
    NoValue.NO_FEATURES: "The collection's features are not built yet; `assay run` builds them.",
    NoValue.IMPLAUSIBLE: "Its price or interval came out as one that no token can be worth.",
    NoValue.SET_ASIDE: "Its collection was set aside because its figures break a rule; `assay alerts` has the alert.",
    NoValue.NOT_VALUED: "The collection was not valued yet; `assay run` values it.",
}
"""Stored word to the sentence for owners."""

_ESTIMATE_COLUMNS = (
    "estimate_eth",
    "lower_80_eth",
    "upper_80_eth",
    "lower_90_eth",
    "upper_90_eth",
    "expected_eth",
    "tier",
    "no_value_reason",
    "model_version",
    "as_of",
    "feature_watermark",
    "grade",
    "lowest_ask_eth",
    "lowest_ask_at",
    "live_asks",
    "floor_proxy_eth",
)


def read_facts(con: duckdb.DuckDBPyConnection, collection: str, until: datetime | None) -> pa.Table:
    """One row per token of a collection, sorted by token id.

    Args:
        con: Connection of the lake.
        collection: Whose tokens.
        until: Only sales known before this count; all when None.

    Returns:
        token_id, the columns of predictions.token_estimates that an owner asks for (null where none was
        made), and of the newest arm's-length sale `last_sale_id`, `last_sale_at`, `last_sale_eth`,
        `last_sale_level` (the index's level just before it, ln ETH) and `own_sales`.
    """
    stored = ", ".join(f"e.{name}" for name in _ESTIMATE_COLUMNS)
    return con.execute(
        f"""
        with sales as (
            select s.token_id, s.sale_id, s.event_time, s.price_eth, s.seq, i.a_level
            from marts.fct_sales as s left join features.hedonic_index as i on s.sale_id = i.sale_id
            where s.collection = $1 and s.is_arms_length and ($2::timestamp is null or s.known_at < $2)
        ),

        newest as (
            select token_id, arg_max(sale_id, seq) as last_sale_id, arg_max(event_time, seq) as last_sale_at,
                arg_max(price_eth, seq) as last_sale_eth, arg_max_null(a_level, seq) as last_sale_level,
                count(*) as own_sales
            from sales group by token_id
        ),

        e as (select * from predictions.token_estimates where collection = $1)

        select t.token_id, {stored}, n.last_sale_id, n.last_sale_at, n.last_sale_eth, n.last_sale_level,
            coalesce(n.own_sales, 0) as own_sales
        from marts.dim_tokens as t
        left join e on t.token_id = e.token_id
        left join newest as n on t.token_id = n.token_id
        where t.collection = $1
        order by t.token_id
        """,
        [collection, until],
    ).to_arrow_table()


def read_sales_known(
    con: duckdb.DuckDBPyConnection, collection: str, until: datetime | None
) -> tuple[float | None, datetime | None, int]:
    """Of a collection's arm's-length sales: the 20th percentile of the last 50 in ETH, the newest's time, the number.

    The percentile is what the models compare with; it is not the floor.
    """
    row = con.execute(
        """
        select arg_max(p20_50, seq), arg_max(event_time, seq), coalesce(max(seq), 0)
        from marts.fct_collection_state
        where collection = $1 and ($2::timestamp is null or known_at < $2)
        """,
        [collection, until],
    ).fetchone()
    return row if row is not None else (None, None, 0)
