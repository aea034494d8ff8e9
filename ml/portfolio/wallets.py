"""The value of every wallet at once: predictions.wallet_valuations, one row per wallet and day on which it changed.

Here: `record_wallet_valuations`. Not here: the value of chosen tokens (`ml.portfolio.valuation`), which gives the same
numbers for one wallet, or what a wallet holds (`marts.fct_wallet_positions`).

Concept: one read of all positions with their estimates, sorted by wallet; one pass over it. The interval of each sum is
that of `risk.log_variance`, computed for all wallets in one compiled loop.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from ml.compute.matrix import column, group_codes
from ml.portfolio.past import ALL_MARKETS, read_risk
from ml.portfolio.risk import PortfolioRisk, RiskConfig
from ml.tables.predictions import WALLET_VALUATIONS

Float = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_POSITIONS = """
select
    p.wallet, p.collection, p.quantity, coalesce(c."chain", 'unknown') as market,
    p.quantity * e.expected_eth as expected_eth,
    ln(e.upper_80_eth / e.estimate_eth) as half,
    p.quantity * e.lower_80_eth as lower_eth,
    p.quantity * e.upper_80_eth as upper_eth,
    p.quantity * coalesce(e.lowest_ask_eth, e.floor_proxy_eth) as floor_eth,
    p.cost_wei::double / 1e18 as cost_eth
from marts.fct_wallet_positions as p
left join predictions.token_estimates as e on p.collection = e.collection and p.token_id = e.token_id
left join marts.dim_collections as c on p.collection = c.collection
order by p.wallet, p.collection, p.token_id
"""

_CHANGED = """
insert into predictions.wallet_valuations by name
with last as (
    select * from predictions.wallet_valuations
    where as_of < $as_of
    qualify row_number() over (partition by wallet order by as_of desc) = 1
),

-- a wallet that holds nothing any more has one row that says so
emptied as (
    select
        last.wallet, 0::bigint as tokens, 0::bigint as units, 0::bigint as tokens_valued, 0.0 as value_eth,
        0.0 as floor_eth, 0::bigint as tokens_with_cost, 0.0 as cost_eth, 0.0 as value_with_cost_eth
    from last
    anti join _wallets on last.wallet = _wallets.wallet
    where last.tokens > 0
),

valued as (
    select * from _wallets
    union all by name
    select * from emptied
)

select valued.*, $as_of::timestamp as as_of
from valued
left join last on valued.wallet = last.wallet
where
    last.wallet is null
    or last.tokens <> valued.tokens
    or last.units <> valued.units
    or last.tokens_valued <> valued.tokens_valued
    or last.tokens_with_cost <> valued.tokens_with_cost
    or abs(last.value_eth - valued.value_eth) > 1e-9 * greatest(last.value_eth, valued.value_eth)
    or abs(last.cost_eth - valued.cost_eth) > 1e-9 * greatest(last.cost_eth, valued.cost_eth)
"""


def record_wallet_valuations(
    con: duckdb.DuckDBPyConnection, as_of: datetime, config: RiskConfig | None = None
) -> dict[str, Any]:
    """Value every wallet and keep the rows that changed, in the caller's transaction.

    A second time for the same day replaces the first.

    Args:
        con: A write connection with marts and predictions.
        as_of: Time of the valuation.
        config: Settings of the interval.

    Returns:
        wallets, positions, rows_written, value_eth.
    """
    config = config or RiskConfig()
    table = con.execute(_POSITIONS).to_arrow_table()
    wallets = value_wallets(table, read_risk(con, as_of), config)
    con.execute("delete from predictions.wallet_valuations where as_of::date = $1::timestamp::date", [as_of])
    con.register("_wallets", wallets)
    try:
        written = con.execute(_CHANGED, {"as_of": as_of}).fetchone()
    finally:
        con.unregister("_wallets")
    return {
        "wallets": wallets.num_rows,
        "positions": table.num_rows,
        "rows_written": int(written[0]) if written else 0,
        "value_eth": float(np.nansum(column(wallets, "value_eth"))) if wallets.num_rows else 0.0,
    }


def value_wallets(table: pa.Table, risks: dict[str, PortfolioRisk], config: RiskConfig) -> pa.Table:
    """Sum the positions of every wallet.

    Args:
        table: Rows of `_POSITIONS`, sorted by wallet.
        risks: Components of the risk by market (`past.read_risk`).
        config: Settings.

    Returns:
        Columns of predictions.wallet_valuations without `as_of`, one row per wallet.
    """
    names = [name for name in WALLET_VALUATIONS.column_names if name != "as_of"]
    schema = pa.schema([WALLET_VALUATIONS.arrow().field(name) for name in names])
    if table.num_rows == 0:
        return schema.empty_table()
    wallet, labels = group_codes(table["wallet"])
    starts = np.flatnonzero(np.diff(wallet, prepend=-1))
    expected = column(table, "expected_eth")
    valued, cost = np.isfinite(expected), column(table, "cost_eth")
    with_cost = np.isfinite(cost)
    lower, upper = _bounds(table, expected, valued, starts, risks, config)
    sums: dict[str, Any] = {
        "wallet": pa.array(labels).take(pa.array(wallet[starts])),
        "tokens": np.diff(starts, append=len(wallet)),
        "units": np.add.reduceat(column(table, "quantity").astype(np.int64), starts),
        "tokens_valued": np.add.reduceat(valued.astype(np.int64), starts),
        "value_eth": np.add.reduceat(np.where(valued, expected, 0.0), starts),
        "lower_80_eth": pa.array(lower, from_pandas=True),
        "upper_80_eth": pa.array(upper, from_pandas=True),
        "floor_eth": np.add.reduceat(np.nan_to_num(column(table, "floor_eth")), starts),
        "tokens_with_cost": np.add.reduceat(with_cost.astype(np.int64), starts),
        "cost_eth": np.add.reduceat(np.nan_to_num(cost), starts),
        "value_with_cost_eth": np.add.reduceat(np.where(valued & with_cost, expected, 0.0), starts),
    }
    return pa.table({name: sums[name] for name in names}).cast(schema)


def _bounds(
    table: pa.Table,
    expected: Float,
    valued: npt.NDArray[np.bool_],
    starts: Integers,
    risks: dict[str, PortfolioRisk],
    config: RiskConfig,
) -> tuple[Float, Float]:
    """Bounds of the 80 % interval of every wallet's sum; NaN where a valued token has none."""
    half = column(table, "half")
    lower, upper = column(table, "lower_eth"), column(table, "upper_eth")
    market, markets = group_codes(table["market"])
    shared = risks.get(ALL_MARKETS)
    used = [risks.get(str(name), shared) for name in markets]
    nothing = PortfolioRisk(np.nan, np.nan, np.nan, np.nan, 0)
    of_market = [nothing if risk is None else risk for risk in used]
    size = np.minimum(half, config.half_cap)
    root_same = np.sqrt(np.array([risk.same_collection for risk in of_market])[market]) * size
    root_other = np.sqrt(np.array([risk.other_collections for risk in of_market])[market]) * size
    own = np.array([risk.variance for risk in of_market])[market] * size**2
    quantile = np.array([risk.quantile_80 for risk in of_market])[market]
    collection, _ = group_codes(table["collection"])
    ends = np.append(starts[1:], len(expected))
    low, high = np.full(len(starts), np.nan), np.full(len(starts), np.nan)
    _sum_bounds(
        starts, ends, valued, expected, lower, upper, root_same, root_other, own, quantile,
        collection.astype(np.int64), low, high,
    )  # fmt: skip
    return low, high


@njit(cache=True, error_model="numpy")
def _sum_bounds(
    starts: Any,
    ends: Any,
    valued: Any,
    expected: Any,
    lower: Any,
    upper: Any,
    same: Any,
    other: Any,
    own: Any,
    quantile: Any,
    collection: Any,
    low: Any,
    high: Any,
) -> None:
    """Fenton–Wilkinson sums of `risk.log_variance` for every wallet; fills `low` and `high`."""
    for w in range(len(starts)):
        count, last, total, added_low, added_high, reach, known = 0, -1, 0.0, 0.0, 0.0, 0.0, True
        for i in range(starts[w], ends[w]):
            if valued[i]:
                count, last, total = count + 1, i, total + expected[i]
                added_low, added_high = added_low + lower[i], added_high + upper[i]
                reach = max(reach, quantile[i]) if not np.isnan(quantile[i]) else reach
                known = known and not np.isnan(own[i])
        if count == 0 or np.isnan(added_high):
            continue
        if count == 1:
            low[w], high[w] = lower[last], upper[last]
            continue
        if not known:
            low[w], high[w] = added_low, added_high
            continue
        square = 0.0
        for i in range(starts[w], ends[w]):
            if not valued[i]:
                continue
            square += expected[i] * expected[i] * np.expm1(own[i])
            for j in range(i + 1, ends[w]):
                if valued[j]:
                    alike = collection[i] == collection[j]
                    covariance = same[i] * same[j] if alike else other[i] * other[j]
                    square += 2.0 * expected[i] * expected[j] * np.expm1(covariance)
        variance = np.log1p(square / (total * total))
        middle = np.log(total) - variance / 2.0
        low[w] = np.exp(middle - reach * np.sqrt(variance))
        high[w] = np.exp(middle + reach * np.sqrt(variance))
