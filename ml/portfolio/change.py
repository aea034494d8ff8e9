"""How the value of tokens changed over some days: by the market, by the tokens themselves, by the models.

Here: `value_changes`. Not here: today's value (`ml.portfolio.valuation`).

Concept: ln value is the collection's level plus what distinguishes the token. The change of the level is the market's.
The rest is the model's where another model version priced the token then, and else that of its traits and its own
sales. The parts of a token's change add up to it: they share it in proportion to their logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

DAYS = (1, 7, 30)


@dataclass(frozen=True)
class Change:
    """Change of the value over some days, of the tokens that had an estimate then and have one now.

    Attributes:
        days: How many.
        tokens: Tokens compared.
        without: Valued tokens that had no estimate then.
        then_eth: Their value then.
        change_eth: Value now less value then; the next three add up to it.
        market_eth: By the level of their collections.
        tokens_eth: By their traits and own sales.
        models_eth: By other models.
    """

    days: int
    tokens: int
    without: int
    then_eth: float
    change_eth: float
    market_eth: float
    tokens_eth: float
    models_eth: float


def value_changes(
    con: duckdb.DuckDBPyConnection,
    valued: Sequence[Mapping[str, Any]],
    units: Mapping[tuple[str, str], int],
    as_of: datetime,
) -> list[Change]:
    """Changes over 1, 7 and 30 days before `as_of`.

    Args:
        con: A connection with predictions and features.
        valued: Rows of `PortfolioValue.tokens`, values of all units.
        units: Units held; one where a token is not named.
        as_of: The time of the value.
    """
    now = {(row["collection"], row["token_id"]): row for row in valued}
    return [_change(con, now, units, as_of, days) for days in DAYS]


_THEN = """
with past as (
    select h.collection, h.token_id, h.expected_eth, h.as_of, h.model_version, h.prior_version
    from predictions.estimate_history as h semi join _asked using (collection, token_id)
    -- an estimate stands until the next one, and one that is much older says nothing about that day
    where h.as_of <= $then and h.as_of > $then - interval 7 day
    qualify row_number() over (partition by h.collection, h.token_id order by h.as_of desc, h.snapshot_id desc) = 1
),

levels_then as (
    select i.collection, arg_max(i.a_level, i.seq) as level_log from features.hedonic_index as i
    where i.collection in (select collection from past) and i.known_at < $then group by i.collection
),

levels_now as (
    select collection, any_value(a_level)::double as level_log from features.token_index
    where collection in (select collection from past) group by collection
)

select t.collection, t.token_id, t.expected_eth, coalesce(n.level_log - b.level_log, 0) as level_change,
    e.model_version is distinct from t.model_version or e.prior_version is distinct from t.prior_version
from past as t
inner join predictions.token_estimates as e on t.collection = e.collection and t.token_id = e.token_id
left join levels_then as b on t.collection = b.collection
left join levels_now as n on t.collection = n.collection
where t.expected_eth > 0
"""


def _change(
    con: duckdb.DuckDBPyConnection,
    now: Mapping[tuple[str, str], Mapping[str, Any]],
    units: Mapping[tuple[str, str], int],
    as_of: datetime,
    days: int,
) -> Change:
    asked = pa.table(
        {
            "collection": pa.array([collection for collection, _ in now], pa.string()),
            "token_id": pa.array([token for _, token in now], pa.string()),
        }
    )
    con.register("_asked", asked)
    try:
        rows = con.execute(_THEN, {"then": as_of - timedelta(days=days)}).fetchall()
    finally:
        con.unregister("_asked")
    before = market = tokens = models = 0.0
    for collection, token_id, expected, level_change, other_model in rows:
        key = (collection, token_id)
        then, today = expected * units.get(key, 1), now[key]["expected_eth"]
        log_change = math.log(today / then)
        # so that parts add up in ETH: the change in ETH, shared as the logs are
        per_log = (today - then) / log_change if abs(log_change) > 1e-12 else then
        before += then
        market += per_log * level_change
        rest = per_log * (log_change - level_change)
        if other_model:
            models += rest
        else:
            tokens += rest
    total = market + tokens + models
    return Change(days, len(rows), len(now) - len(rows), before, total, market, tokens, models)
