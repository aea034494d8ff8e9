"""The value of a set of tokens: theirs, their sum, and an interval of the sum.

Here: `value_portfolio` over predictions.token_estimates, and the tokens of an owner. Not here: the risk that errors
share (`ml.portfolio.risk`), printing.

Concept: an estimate is a median and medians do not add up; `expected_eth` is a mean and does. The interval is the sum's
own: adding the tokens' bounds would suppose that all errors come together, adding their variances that none do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from ml.portfolio.interval import portfolio_interval
from ml.portfolio.past import read_risk
from ml.portfolio.risk import PortfolioRisk, RiskConfig
from ml.states import NoValue


@dataclass(frozen=True)
class PortfolioValue:
    """What a set of tokens is worth.

    Attributes:
        tokens: One dict per token asked for: collection, token_id, estimate_eth, lower_80_eth, upper_80_eth,
            expected_eth, grade, tier, as_of, market; of all units held.
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
    con: duckdb.DuckDBPyConnection,
    tokens: Sequence[tuple[str, str]],
    config: RiskConfig | None = None,
    units: Mapping[tuple[str, str], int] | None = None,
    as_of: datetime | None = None,
) -> PortfolioValue:
    """Value a set of tokens by the current estimates, or by those of the past.

    Args:
        con: Connection with predictions and marts.dim_collections.
        tokens: (collection, token_id); a token named twice counts once.
        config: Settings.
        units: Units held of a token; one where it is not named. Values and bounds are those of all units.
        as_of: By the newest estimates for that time or before (predictions.estimate_history); the current ones if None.

    Returns:
        The value. Tokens without one count nothing and are listed with the reason.
    """
    config = config or RiskConfig()
    rows = _estimates(con, list(dict.fromkeys(tokens)), units or {}, as_of)
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
    newest = max((row["as_of"] for row in valued), default=None)
    lower, upper, method = portfolio_interval(valued, total, _risks(con, as_of), config)
    shown = [{name: row[name] for name in _SHOWN} for row in valued]
    return PortfolioValue(shown, unvalued, total, lower, upper, method, newest)


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
    "market",
)


_VALUES = ("estimate_eth", "lower_80_eth", "upper_80_eth", "expected_eth")

_HISTORY = """(
    select h.*, null::varchar as no_value_reason
    from predictions.estimate_history as h semi join _asked using (collection, token_id)
    where h.as_of <= $as_of
    qualify row_number() over (partition by collection, token_id order by as_of desc, snapshot_id desc) = 1
)"""


def _estimates(
    con: duckdb.DuckDBPyConnection,
    tokens: list[tuple[str, str]],
    units: Mapping[tuple[str, str], int],
    as_of: datetime | None,
) -> list[dict[str, Any]]:
    asked = pa.table(
        {
            "place": pa.array(range(len(tokens)), pa.int64()),
            "collection": pa.array([collection for collection, _ in tokens], pa.string()),
            "token_id": pa.array([token for _, token in tokens], pa.string()),
        }
    )
    con.register("_asked", asked)
    try:
        source = "predictions.token_estimates" if as_of is None else _HISTORY
        answer = con.execute(
            f"""
            select a.collection, a.token_id, e.* exclude (collection, token_id),
                coalesce(c."chain", 'unknown') as market
            from _asked as a
            left join {source} as e on a.collection = e.collection and a.token_id = e.token_id
            left join marts.dim_collections as c on a.collection = c.collection
            order by a.place
            """,
            {} if as_of is None else {"as_of": as_of},
        )
        rows = answer.to_arrow_table().to_pylist()
    finally:
        con.unregister("_asked")
    for row in rows:
        held = units.get((row["collection"], row["token_id"]), 1)
        for name in _VALUES:
            row[name] = None if row[name] is None else held * row[name]
    if as_of is not None:
        rows = [{**row, "no_value_reason": row["no_value_reason"] or NoValue.NOT_ESTIMATED} for row in rows]
    return [{"grade": None, **row} for row in rows]  # past estimates have no grade


def sum_with_interval(
    con: duckdb.DuckDBPyConnection,
    rows: list[dict[str, Any]],
    as_of: datetime | None = None,
    config: RiskConfig | None = None,
) -> tuple[float, float | None, float | None]:
    """Sum of the means of valued tokens (rows of `PortfolioValue.tokens`), and the bounds of its 80 % interval."""
    total = float(sum(row["expected_eth"] for row in rows))
    lower, upper, _ = portfolio_interval(rows, total, _risks(con, as_of), config or RiskConfig())
    return total, lower, upper


def _risks(con: duckdb.DuckDBPyConnection, as_of: datetime | None) -> dict[str, PortfolioRisk]:
    """The components that were known at that time, or are known now.

    Not those known at a token's own time: its source may have ended before the components were measured.
    """
    if as_of is None:
        newest = con.execute("select max(as_of) from predictions.token_estimates").fetchone()
        as_of = newest[0] if newest else None
    return {} if as_of is None else read_risk(con, as_of)
