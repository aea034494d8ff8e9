"""The value of a set of tokens: theirs, their sum, and an interval of the sum.

Here: `value_portfolio` over predictions.token_estimates, and the tokens of an owner. Not here: the risk that errors
share (`ml.portfolio.risk`), printing.

Concept: an estimate is a median and medians do not add up; `expected_eth` is a mean and does. The interval is the sum's
own: adding the tokens' bounds would suppose that all errors come together, adding their variances that none do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ml.portfolio.past import ALL_MARKETS, read_risk
from ml.portfolio.risk import PortfolioRisk, RiskConfig, log_variance, sum_interval
from ml.states import NoValue

METHOD_RISK = "common risk"
METHOD_TOKEN = "the token's own"
METHOD_BOUNDS = "bounds added"
METHOD_NONE = "none"


@dataclass(frozen=True)
class PortfolioValue:
    """What a set of tokens is worth.

    Attributes:
        tokens: One dict per token asked for: collection, token_id, estimate_eth, lower_80_eth, upper_80_eth,
            expected_eth, grade, tier, as_of; None where there is no value.
        unvalued: Tokens without a value: collection, token_id, reason.
        sum_eth: Sum of the means of the valued tokens.
        lower_80_eth: Lower bound of the 80 % interval of the sum, None without one.
        upper_80_eth: Upper bound.
        method: How the interval was made: common risk · the token's own (one token) · bounds added (no past
            portfolios to learn from: as wide as if all errors came together) · none.
        as_of: Time of the newest estimate in it.
    """

    tokens: list[dict[str, Any]]
    unvalued: list[dict[str, str]]
    sum_eth: float
    lower_80_eth: float | None
    upper_80_eth: float | None
    method: str
    as_of: datetime | None


def tokens_of(con: duckdb.DuckDBPyConnection, owner: str) -> list[tuple[str, str]]:
    """Tokens that an address owns according to marts.fct_holdings, as (collection, token_id), sorted."""
    return con.execute(
        "select collection, token_id from marts.fct_holdings where lower(owner) = lower($1) order by all",
        [owner],
    ).fetchall()


def value_portfolio(
    con: duckdb.DuckDBPyConnection, tokens: Sequence[tuple[str, str]], config: RiskConfig | None = None
) -> PortfolioValue:
    """Value a set of tokens by the current estimates.

    Args:
        con: Connection with predictions.token_estimates and marts.dim_collections.
        tokens: (collection, token_id); a token named twice counts once.
        config: Settings.

    Returns:
        The value. Tokens without one count nothing and are listed with the reason.
    """
    config = config or RiskConfig()
    rows = _estimates(con, list(dict.fromkeys(tokens)))
    valued = [row for row in rows if row["estimate_eth"] is not None]
    unvalued = [
        {
            "collection": row["collection"],
            "token_id": row["token_id"],
            "reason": row["no_value_reason"] or NoValue.UNKNOWN_TOKEN,
        }
        for row in rows
        if row["estimate_eth"] is None
    ]
    total = float(sum(row["expected_eth"] for row in valued))
    as_of = max((row["as_of"] for row in valued), default=None)
    risks = read_risk(con, as_of) if as_of is not None else {}
    lower, upper, method = _interval(valued, total, risks, config)
    shown = [{name: row[name] for name in _SHOWN} for row in valued]
    return PortfolioValue(shown, unvalued, total, lower, upper, method, as_of)


_SHOWN = (
    "collection",
    "token_id",
    "estimate_eth",
    "lower_80_eth",
    "upper_80_eth",
    "expected_eth",
    "grade",
    "tier",
    "as_of",
)


def _estimates(con: duckdb.DuckDBPyConnection, tokens: list[tuple[str, str]]) -> list[dict[str, Any]]:
    asked = pa.table(
        {
            "place": pa.array(range(len(tokens)), pa.int64()),
            "collection": pa.array([collection for collection, _ in tokens], pa.string()),
            "token_id": pa.array([token for _, token in tokens], pa.string()),
        }
    )
    con.register("_asked", asked)
    try:
        rows = con.execute(
            """
            select a.collection, a.token_id, e.* exclude (collection, token_id),
                coalesce(c."chain", 'unknown') as market
            from _asked as a
            left join predictions.token_estimates as e on a.collection = e.collection and a.token_id = e.token_id
            left join marts.dim_collections as c on a.collection = c.collection
            order by a.place
            """
        )
        return rows.to_arrow_table().to_pylist()
    finally:
        con.unregister("_asked")


def _interval(
    valued: list[dict[str, Any]], total: float, risks: dict[str, PortfolioRisk], config: RiskConfig
) -> tuple[float | None, float | None, str]:
    if not valued or any(row["upper_80_eth"] is None for row in valued):
        return None, None, METHOD_NONE
    if len(valued) == 1:
        return valued[0]["lower_80_eth"], valued[0]["upper_80_eth"], METHOD_TOKEN
    shared = risks.get(ALL_MARKETS)
    used = {row["market"]: risks.get(row["market"], shared) for row in valued}
    known = {market: risk for market, risk in used.items() if risk is not None}
    if len(known) < len(used):
        lower, upper = (float(sum(row[name] for row in valued)) for name in ("lower_80_eth", "upper_80_eth"))
        return lower, upper, METHOD_BOUNDS
    place = {market: number for number, market in enumerate(known)}
    codes: dict[str, int] = {}
    expected = np.array([row["expected_eth"] for row in valued])
    variance = log_variance(
        expected,
        np.array([np.log(row["upper_80_eth"] / row["estimate_eth"]) for row in valued]),
        np.array([codes.setdefault(row["collection"], len(codes)) for row in valued]),
        list(known.values()),
        np.array([place[row["market"]] for row in valued]),
        config,
    )
    quantile = max(risk.quantile_80 for risk in known.values())
    lower, upper = sum_interval(total, variance, quantile)
    return lower, upper, METHOD_RISK
