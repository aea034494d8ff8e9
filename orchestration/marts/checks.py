"""Checks of marts that dbt's data tests do not make: references and prices."""

from __future__ import annotations

from orchestration.checks.definition import Check, refers, share_against_before

# Newest: the last seven days; before: the 90 days until then.
_PRICES = """
with sold as (
    select s.known_at >= $as_of::timestamp - interval 7 day as is_new, s.price_eth, s.is_low_outlier, c.med_30
    from (
        select * from marts.fct_sales
        where not is_wash and known_at < $as_of and known_at >= $as_of::timestamp - interval 97 day
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
    select known_at >= $as_of::timestamp - interval 2 day as is_new, is_wash from marts.fct_sales
    where known_at < $as_of and known_at >= $as_of::timestamp - interval 30 day
)
select
    count(*) filter (where is_new and is_wash), count(*) filter (where is_new),
    count(*) filter (where not is_new and is_wash), count(*) filter (where not is_new)
from sold
"""


MARTS = (
    refers("fct_sales", "marts.fct_sales", "marts.dim_tokens", "collection, token_id"),
    refers("fct_holdings", "marts.fct_holdings", "marts.dim_tokens", "collection, token_id", blocking=False),
    refers("dim_tokens", "marts.dim_tokens", "marts.dim_collections", "collection"),
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
