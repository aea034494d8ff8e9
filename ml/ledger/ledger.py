"""The ledger: every sale with the estimate that was frozen before it.

Here: the columns, and the one join that serves the backtest (`assay backtest`) and production
(`monitoring.estimate_ledger`). Not here: where estimates come from (`ml.backtest`, scoring), or what errors mean
(`ml.accuracy`).

Concept: an estimate at time t has used only what was known before t, so it may be held against a sale whose as-of time
is t or later, and the newest such estimate is the last one that was made for its reader. In a backtest there is an
estimate, or the reason for having none, at each sale's own as-of time. In production there are the values that each
scoring published, and not their absence: a sale after its token lost its value is held against the last value before,
and `as_of` shows how old that is. Every sale with a positive price has its row, also one that the pipeline's own rules
turned away, and one that no estimate precedes has the reason: what is left out of a ledger cannot be missed by its
reader.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lake.tables import sql_type
from ml.compute.asof_join import sorted_asof_joins
from ml.intervals.grades import grade_sql
from ml.metrics.baselines import BASELINES, baseline_query
from ml.metrics.formulas import PREMIUM_EDGES, PREMIUM_TIERS
from ml.pricing.tiers import TierRules
from ml.states import NoValue, Tier
from ml.tables.monitoring import ESTIMATE_LEDGER

LEDGER_SCHEMA = pa.schema([field for field in ESTIMATE_LEDGER.arrow() if field.name != "origin"])
"""Columns of a ledger; grain: one sale with a positive price. Times are UTC without a zone.

`as_of` is the time of the frozen estimate (null without one); `lower_eth` and `upper_eth` bound the 80 % interval;
`expected_eth` is the mean, for sums; `index_eth` and `prior_eth` are the estimates of the index and the pooled prior
alone (null where the estimate did not keep them); `listed`: the token had a live ask known before the sale's as-of
time; `grade` is read from the width of the frozen interval; `sales_seen`: arm's-length sales of the collection visible
to the sale; `days_since_sale`: from the newest of them to the sale's as-of time (null without one); `<baseline>_eth`:
the baselines known at the sale's as-of time.
"""

ESTIMATE_SCHEMA = pa.schema(
    [
        *(
            LEDGER_SCHEMA.field(name)
            for name in (
                "collection",
                "token_id",
                "as_of",
                "estimate_eth",
                "lower_eth",
                "upper_eth",
                "lower_90_eth",
                "upper_90_eth",
                "expected_eth",
                "index_eth",
                "prior_eth",
                "tier",
                "no_value_reason",
                "model_version",
                "prior_version",
            )
        ),
        ("snapshot_id", pa.int64()),
    ]
)
"""Columns of the relation of frozen estimates; grain: one token and time, the newest `snapshot_id` counts."""


def ledger_rows(con: duckdb.DuckDBPyConnection, where: str, estimates: str, into: str) -> int:
    """Leave the temporary table ``into``: the ledger rows of some sales, joined to their frozen estimates.

    Args:
        con: Connection on which `marts` resolves; only temporary tables are written.
        where: Condition on the columns of `marts.fct_sales` that chooses the sales.
        estimates: Relation with the columns of `ESTIMATE_SCHEMA` (others are ignored).
        into: Name of the table; columns as in `LEDGER_SCHEMA`, ordered by known_at and sale_id.

    Returns:
        Rows of the table: one per chosen sale with a positive price.
    """
    # Here: readers of the ledger need no compiled index, whose import takes 0.4 s.
    from ml.index.queries import sale_queries

    sale_queries(con, "ledger_queries", f"({where}) and price_eth > 0")
    con.execute(_SALES_SQL)
    with sorted_asof_joins(con):
        con.execute(f"create or replace temp table ledger_baselines as {baseline_query('ledger_sales')}")
        con.execute(_LISTED_SQL)
        con.execute(_join_sql(estimates, into))
    for name in ("queries", "sales", "baselines", "listed"):
        con.execute(f"drop table if exists temp.ledger_{name}")
    counted = con.execute(f"select count(*) from {into}").fetchone()
    return int(counted[0]) if counted else 0


_SALES_SQL = """
create or replace temp table ledger_sales as
with states as (
    select
        collection, seq,
        max(event_time) over (partition by collection order by seq) as last_sale_at
    from marts.fct_collection_state
    where collection in (select collection from ledger_queries)
)
select fct_sales.*, ledger_queries.prefix, states.last_sale_at
from ledger_queries
inner join marts.fct_sales using (sale_id)
left join states on ledger_queries.collection = states.collection and ledger_queries.prefix = states.seq
"""

# An order ends with its first event after `created`, or at its own `valid_until`.
_LISTED_SQL = """
create or replace temp table ledger_listed as
with events as (
    select * from marts.fct_listings
    where side = 'ask' and token_id is not null
        and (collection, token_id) in (select distinct collection, token_id from ledger_sales)
),
ends as (
    select order_id, min(known_at) as ended_at from events where event_kind <> 'created' group by order_id
)
select distinct ledger_sales.sale_id
from ledger_sales
inner join events
    on ledger_sales.collection = events.collection and ledger_sales.token_id = events.token_id
    and events.known_at < ledger_sales.as_of
left join ends on events.order_id = ends.order_id
where events.event_kind = 'created'
    and (ends.ended_at is null or ends.ended_at >= ledger_sales.as_of)
    and (events.valid_until is null or events.valid_until > ledger_sales.as_of)
"""


def _join_sql(estimates: str, into: str) -> str:
    taken = ", ".join(f"{name}" for name in ESTIMATE_SCHEMA.names)
    few, inactive = TierRules().min_sales, TierRules().silent_days
    tiers = " ".join(
        f"when estimate_eth < {edge} * p20_50_eth then '{name}'"
        for edge, name in zip(PREMIUM_EDGES, PREMIUM_TIERS, strict=False)
    )
    columns = ", ".join(
        f"cast({field.name} as {sql_type(field.type)}) as {field.name}" for field in LEDGER_SCHEMA
    )
    return f"""
    create or replace temp table {into} as
    with frozen as (
        select {taken} from {estimates}
        where (collection, token_id) in (select distinct collection, token_id from ledger_sales)
        qualify row_number() over (
            partition by collection, token_id, as_of order by snapshot_id desc, model_version desc, estimate_eth
        ) = 1
    ),
    joined as (
        select
            s.collection, s."chain", s.token_id, s.sale_id, s.tx_hash, s.event_time, s.known_at, s.price_eth,
            s.is_arms_length, s.is_wash, s.buyer, s.seller, s.prefix as sales_seen,
            (epoch_us(s.as_of) - epoch_us(s.last_sale_at)) / 86400e6 as days_since_sale,
            frozen.as_of, frozen.estimate_eth, frozen.lower_eth, frozen.upper_eth, frozen.lower_90_eth,
            frozen.upper_90_eth, frozen.expected_eth, frozen.index_eth, frozen.prior_eth,
            frozen.model_version, frozen.prior_version, frozen.tier as estimate_tier,
            frozen.no_value_reason as given_reason
        from ledger_sales as s
        asof left join frozen
            on s.collection = frozen.collection and s.token_id = frozen.token_id and s.as_of >= frozen.as_of
    ),
    described as (
        select
            joined.*,
            {grade_sql("ln(upper_eth / estimate_eth)")} as grade,
            case when estimate_eth is null then '{Tier.NONE}' else estimate_tier end as tier,
            case
                when estimate_eth is not null then null
                when given_reason is not null then given_reason
                when sales_seen < {few} then '{NoValue.FEW_SALES}'
                when days_since_sale > {inactive} then '{NoValue.INACTIVE}'
                else '{NoValue.NOT_ESTIMATED}'
            end as no_value_reason,
            {", ".join(f"exp(b.{name}) as {name}_eth" for name in BASELINES)},
            sale_id in (select sale_id from ledger_listed) as listed
        from joined
        left join ledger_baselines as b using (sale_id)
    ),
    tiered as (
        select
            *,
            case
                when estimate_eth is null then null
                when p20_50_eth is null then '{PREMIUM_TIERS[0]}'
                {tiers}
                else '{PREMIUM_TIERS[-1]}'
            end as premium_tier
        from described
    )
    select {columns} from tiered order by known_at, sale_id
    """
