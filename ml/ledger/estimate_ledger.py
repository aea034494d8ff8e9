"""The live ledger, `monitoring.estimate_ledger`: every sale with the estimate that production had made before it.

Here: which sales have no row yet and which estimates belong to them. Not here: the join (`ml.ledger.ledger`).

Concept: a sale enters once it is known, however late, and keeps the estimate that was made before its as-of time. A
collection that was scored for the first time after a sale has no such estimate; so that the history of errors does not
begin empty, such a sale gets its walk-forward prediction, and the row records that (`origin`). A sale that
the marts have corrected or taken back since is taken out and, if it still exists, entered again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ml.ledger.ledger import ledger_rows
from ml.states import NoValue, Origin, Tier
from ml.tables.monitoring import ESTIMATE_LEDGER
from ml.tables.predictions import LEAST_ETH, MOST_ETH

TABLE = ESTIMATE_LEDGER.name

COMPARED = ("collection", "token_id", "price_eth", "known_at", "is_arms_length", "is_wash")
"""What a row repeats of its sale: where one differs, the sale was corrected."""

CURRENT_DAYS = 2.0
"""An estimate that is outdated for longer measures how often scoring runs, not how good the model is. A daily run
keeps within one; the second leaves room for a run that failed."""


@dataclass(frozen=True)
class LedgerUpdate:
    """What one update did.

    Attributes:
        live: Rows added for sales after their collection's first scoring.
        walk_forward: Rows added for sales before it.
        removed: Rows of sales that were corrected or taken back.
        rows: Rows in the ledger now.
        seconds: Time it took.
    """

    live: int
    walk_forward: int
    removed: int
    rows: int
    seconds: float


def update_estimate_ledger(con: duckdb.DuckDBPyConnection, as_of: datetime) -> LedgerUpdate:
    """Enter every sale known before `as_of` that has no row yet, in the caller's transaction; a rerun adds nothing.

    Args:
        con: A write connection of the lake.
        as_of: As-of time (naive UTC).
    """
    began = time.monotonic()
    removed = _count(con, _REMOVE_SQL)
    con.execute(_FIRST_SCORED_SQL)
    con.execute(_NEW_SQL, {"as_of": as_of})
    waiting = dict(con.execute("select origin, count(*) from ledger_new group by origin").fetchall())
    added = {Origin.LIVE: 0, Origin.WALK_FORWARD: 0}
    for origin, relation in ((Origin.LIVE, _LIVE_SQL), (Origin.WALK_FORWARD, _WALK_FORWARD_SQL)):
        if not waiting.get(origin):
            continue
        con.execute(f"create or replace temp view ledger_estimates as {relation}")
        chosen = f"sale_id in (select sale_id from ledger_new where origin = '{origin}')"
        added[origin] = ledger_rows(con, chosen, "ledger_estimates", "ledger_entered")
        con.execute(f"insert into {TABLE} by name select *, '{origin}' as origin from ledger_entered")
    for name in ("new", "entered", "first_scored"):
        con.execute(f"drop table if exists temp.ledger_{name}")
    con.execute("drop view if exists temp.ledger_estimates")
    rows = con.execute(f"select count(*) from {TABLE}").fetchone()
    return LedgerUpdate(
        added[Origin.LIVE],
        added[Origin.WALK_FORWARD],
        removed,
        int(rows[0]) if rows else 0,
        time.monotonic() - began,
    )


def with_outdated(ledger: str) -> str:
    """Query for the rows of a ledger that have an estimate, with `outdated_days`.

    An estimate is outdated from the first clean sale of its collection on that it does not know: production would have
    valued again. One that is old because nothing sold is not outdated.

    Args:
        ledger: Relation with the ledger's columns, all clean sales of a collection since its estimates among its rows.
    """
    return f"""
    select l.*, (epoch_us(l.known_at) - epoch_us(newer_sales.known_at)) / 86400e6 as outdated_days
    from {ledger} as l
    asof join (select collection, known_at from {ledger} where is_arms_length) as newer_sales
        on l.collection = newer_sales.collection and l.as_of <= newer_sales.known_at
    """


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0


_REMOVE_SQL = f"""
delete from {TABLE}
where sale_id in (
    select l.sale_id
    from {TABLE} as l
    left join marts.fct_sales as s on l.sale_id = s.sale_id
    where s.sale_id is null or {" or ".join(f"l.{name} is distinct from s.{name}" for name in COMPARED)}
)
"""

_NEW_SQL = f"""
create or replace temp table ledger_new as
select
    s.sale_id,
    case
        when f.first_as_of is null or s.as_of < f.first_as_of then '{Origin.WALK_FORWARD}'
        else '{Origin.LIVE}'
    end as origin
from marts.fct_sales as s
left join ledger_first_scored as f on s.collection = f.collection
where s.known_at < $as_of and s.price_eth > 0 and s.sale_id not in (select sale_id from {TABLE})
"""

_FIRST_SCORED_SQL = """
create or replace temp table ledger_first_scored as
select collection, min(as_of) as first_as_of from predictions.estimate_history group by collection
"""

_LIVE_SQL = """
    select
        collection, token_id, as_of, estimate_eth, lower_80_eth as lower_eth, upper_80_eth as upper_eth, lower_90_eth,
        upper_90_eth, expected_eth, null::double as index_eth, null::double as prior_eth, tier,
        null::varchar as no_value_reason, model_version, prior_version, snapshot_id
    from predictions.estimate_history
"""
"""What production published at each scoring."""

_WALKED_SQL = f"""
    select
        s.collection, s.token_id, s.as_of,
        exp(coalesce(l.prediction_log, w.prediction_log)) as estimate_eth,
        estimate_eth / exp(w.half_80) as lower_eth, estimate_eth * exp(w.half_80) as upper_eth,
        estimate_eth / exp(w.half_90) as lower_90_eth, estimate_eth * exp(w.half_90) as upper_90_eth,
        null::double as expected_eth,
        exp(w.base_log) as index_eth,
        case when w.fold > 0 then exp(w.prediction_log) end as prior_eth,
        case
            when l.sale_id is not null then '{Tier.OWN}' when w.fold > 0 then '{Tier.POOLED}' else '{Tier.INDEX}'
        end as tier,
        s.collection || '@{Origin.WALK_FORWARD}' as model_version,
        w.prior_version,
        0::bigint as snapshot_id,
        coalesce(lower_90_eth, estimate_eth) >= {LEAST_ETH} and coalesce(upper_90_eth, estimate_eth) <= {MOST_ETH}
            as is_plausible
    from predictions.prior_walk_forward as w
    inner join marts.fct_sales as s on w.sale_id = s.sale_id
    left join predictions.local_walk_forward as l on w.sale_id = l.sale_id and l.weight > 0
"""

_OF_A_VALUE = (
    "estimate_eth", "lower_eth", "upper_eth", "lower_90_eth", "upper_90_eth", "expected_eth", "index_eth", "prior_eth",
    "model_version", "prior_version",
)  # fmt: skip

_WALK_FORWARD_SQL = f"""
    select
        collection, token_id, as_of, tier, snapshot_id,
        {", ".join(f"case when is_plausible then {name} end as {name}" for name in _OF_A_VALUE)},
        case when not is_plausible then '{NoValue.IMPLAUSIBLE}' end as no_value_reason
    from ({_WALKED_SQL})
"""
"""Predictions of each sale, as of its own time, by models fitted before it; no mean was kept for sums.

Of every sale, not of the new ones alone: a wash sale has no prediction of its own, and the newest of its token may be
that of a sale which was entered long ago. What no token can be worth is no value, as in `ml.pricing.price`.
"""
