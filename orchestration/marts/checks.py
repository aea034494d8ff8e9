"""Checks of marts and features that dbt's data tests and the feature schema do not make: references and prices."""

from __future__ import annotations

from orchestration.checks.definition import Check, no_rows, share_against_before

# Newest: the last seven days; before: the 90 days until then.
_PRICES = """
with sold as (
    select s.known_at >= $now::timestamp - interval 7 day as is_new, s.price_eth, s.is_low_outlier, c.med_30
    from (
        select * from marts.fct_sales
        where not is_wash and known_at < $now and known_at >= $now::timestamp - interval 97 day
    ) s
    asof join marts.fct_collection_state c on s.collection = c.collection and c.known_at < s.as_of
),
judged as (
    select is_new, is_low_outlier or price_eth not between med_30 / 20 and med_30 * 20 as is_odd from sold
)
select
    count(*) filter (where is_new and is_odd), count(*) filter (where is_new),
    count(*) filter (where not is_new and is_odd), count(*) filter (where not is_new)
from judged
"""
_WASH = """
with sold as (
    select known_at >= $now::timestamp - interval 2 day as is_new, is_wash from marts.fct_sales
    where known_at < $now and known_at >= $now::timestamp - interval 30 day
)
select
    count(*) filter (where is_new and is_wash), count(*) filter (where is_new),
    count(*) filter (where not is_new and is_wash), count(*) filter (where not is_new)
from sold
"""


def _refers(
    asset: str, table: str, to: str, keys: str, *, where: str = "true", blocking: bool = True
) -> Check:
    name = to.split(".")[1]
    return Check(
        name=f"{asset}_exist_in_{name}",
        asset=asset,
        description=f"Every row of {table} refers to a row of {to} ({keys}).",
        measure=no_rows(f"select {keys} from {table} t anti join {to} using ({keys}) where {where}"),
        severity="error",
        blocking=blocking,
        runbook="rows-contradict",
    )


MARTS = (
    _refers("fct_sales", "marts.fct_sales", "marts.dim_tokens", "collection, token_id"),
    _refers("fct_holdings", "marts.fct_holdings", "marts.dim_tokens", "collection, token_id", blocking=False),
    _refers("dim_tokens", "marts.dim_tokens", "marts.dim_collections", "collection"),
    Check(
        name="prices_against_the_recent_median",
        asset="fct_sales",
        description="Prices of the last seven days lie within a factor of 20 of the collection's median of 30 known "
        "before, as often as they did in the 90 days before.",
        measure=share_against_before(_PRICES, least=0.05, times=4, min_events=50),
        runbook="prices-implausible",
    ),
    Check(
        name="wash_trades_as_usual",
        asset="fct_sales",
        description="The share of wash trades in the last two days is not far above that of the four weeks before.",
        measure=share_against_before(_WASH, least=0.05, times=4, min_events=30),
        runbook="prices-implausible",
    ),
)
FEATURES = (
    _refers("hedonic_index", "features.hedonic_index", "marts.fct_sales", "sale_id"),
    Check(
        name="every_sale_is_in_the_index_once",
        asset="hedonic_index",
        description="Each arm's-length sale has exactly one row in the index.",
        measure=no_rows(
            """
            select collection, count(*) as sales, count(distinct hash(i.sale_id)) as in_index, count(i.sale_id) as rows
            from (select collection, sale_id from marts.fct_sales where is_arms_length) s
            left join (select sale_id from features.hedonic_index) i using (sale_id)
            group by collection having sales <> in_index or in_index <> rows
            """
        ),
        severity="error",
        blocking=True,
        runbook="rows-contradict",
    ),
    _refers("sale_features", "features.sale_features", "features.hedonic_index", "sale_id"),
    _refers("token_features", "features.token_features", "marts.dim_tokens", "collection, token_id"),
)
