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
import pyarrow as pa

from ml.portfolio.interval import portfolio_interval
from ml.portfolio.past import read_risk
from ml.portfolio.risk import RiskConfig
from ml.states import NoValue


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
    lower, upper, method = portfolio_interval(valued, total, risks, config)
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
