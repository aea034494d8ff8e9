"""An owner's statement: what is held, what it cost, what it is worth, what was gained.

Here: `make_statement`, which puts the parts together. Not here: the parts (`ml.portfolio.ledger`,
`ml.portfolio.valuation`, `ml.portfolio.facts`, `ml.portfolio.change`), printing.

Concept: a gain needs a cost. Tokens whose cost is not known are valued and counted, and are in no gain: gains are those
of the tokens with a known cost, and the statement says how many are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb

from ml.portfolio.change import Change, value_changes
from ml.portfolio.facts import read_ether_rate, read_floors, read_pace
from ml.portfolio.ledger import Ledger, Token
from ml.portfolio.lots import OpenLot
from ml.portfolio.positions import position
from ml.portfolio.valuation import PortfolioValue, sum_with_interval, value_portfolio

ETHER = 10**18
MUCH_DAYS = 30
"""What takes longer than this to sell at the recent pace is hard to sell."""


@dataclass(frozen=True)
class Statement:
    """A statement.

    Attributes:
        as_of: Time of the newest estimate, or that was asked for.
        ether_usd: US dollars per ether then; None without a fresh rate.
        ether_usd_at: When that rate became known.
        value: The tokens' values, their sum and its interval.
        tokens: One row per token held: what `_token` makes.
        cost_eth: Cost of the tokens with a known cost.
        cost_usd: The same in US dollars then; None if it is not known for all of them.
        valued_with_cost: Tokens with both.
        gain_eth: Their value less their cost; None without any.
        gain_80_eth: Bounds of its 80 % interval.
        gain_usd: The same in US dollars, value at the rate of now and cost at those of then.
        gain_80_usd: Bounds of its 80 % interval.
        without_cost: Tokens without a known cost.
        floor_eth: The floors of their collections, added; tokens without one count nothing.
        last_sales_eth: The last prices of the tokens that ever sold, added.
        collections: By collection: units, value_eth, share, days_to_sell; largest first.
        sellable_share: Share of the value in collections whose units sell within 30 days at the recent pace.
        changes: Over 1, 7 and 30 days.
        realized_eth: Gains of what was sold, of the sales where it is known; None if it is of none.
        realized_usd: The same in US dollars; None if those of any of these sales are not known.
        realized_sales: Sales, by lot.
        realized_unknown: Of these, those without a known gain.
    """

    as_of: datetime | None
    ether_usd: float | None
    ether_usd_at: datetime | None
    value: PortfolioValue
    tokens: list[dict[str, Any]]
    cost_eth: float
    cost_usd: float | None
    valued_with_cost: int
    gain_eth: float | None
    gain_80_eth: tuple[float, float] | None
    gain_usd: float | None
    gain_80_usd: tuple[float, float] | None
    without_cost: int
    floor_eth: float
    last_sales_eth: float
    collections: list[dict[str, Any]]
    sellable_share: float | None
    changes: list[Change] = field(default_factory=list)
    realized_eth: float | None = None
    realized_usd: float | None = None
    realized_sales: int = 0
    realized_unknown: int = 0


def make_statement(
    con: duckdb.DuckDBPyConnection,
    tokens: Sequence[Token],
    ledger: Ledger | None = None,
    as_of: datetime | None = None,
) -> Statement:
    """The statement of some tokens, or of an owner.

    Args:
        con: A connection with marts, features and predictions.
        tokens: The tokens, when there is no ledger.
        ledger: What the owner has and had; then its tokens count.
        as_of: Value by the estimates of that time; the ledger must end there, too. The current ones when None.
    """
    lots = ledger.held if ledger else {}
    units = {token: sum(lot.held for lot in held) for token, held in lots.items()}
    asked = list(lots) if ledger else list(dict.fromkeys(tokens))
    value = value_portfolio(con, asked, units=units, as_of=as_of)
    at = as_of or value.as_of
    values = {(row["collection"], row["token_id"]): row for row in value.tokens}
    reasons = {(row["collection"], row["token_id"]): row["reason"] for row in value.unvalued}
    floors = read_floors(con, asked) if as_of is None else {}
    rows = [
        _token(token, lots.get(token, []), ledger, values.get(token), reasons.get(token), floors.get(token))
        for token in asked
    ]
    with_cost = [row for row in rows if row["cost_eth"] is not None]
    costs_usd = [row["cost_usd"] for row in with_cost]
    both = [
        values[row["collection"], row["token_id"]] for row in with_cost if row["expected_eth"] is not None
    ]
    cost_of_both = sum(row["cost_eth"] for row in with_cost if row["expected_eth"] is not None)
    usd = [row["cost_usd"] for row in with_cost if row["expected_eth"] is not None]
    usd_of_both = sum(usd) if both and None not in usd else None
    total, lower, upper = sum_with_interval(con, both, as_of)
    bounds = (lower, upper) if both and lower is not None and upper is not None else None
    rate, rate_at = (None if at is None else read_ether_rate(con, at)) or (None, None)
    collections = _collections(con, rows, value.sum_eth, at)
    quick = sum(
        row["value_eth"]
        for row in collections
        if row["days_to_sell"] is not None and row["days_to_sell"] <= MUCH_DAYS
    )
    return Statement(
        as_of=at,
        ether_usd=rate,
        ether_usd_at=rate_at,
        value=value,
        tokens=rows,
        cost_eth=sum(row["cost_eth"] for row in with_cost),
        cost_usd=sum(costs_usd) if None not in costs_usd else None,
        valued_with_cost=len(both),
        gain_eth=total - cost_of_both if both else None,
        gain_80_eth=None if bounds is None else (bounds[0] - cost_of_both, bounds[1] - cost_of_both),
        gain_usd=total * rate - usd_of_both if rate is not None and usd_of_both is not None else None,
        gain_80_usd=(bounds[0] * rate - usd_of_both, bounds[1] * rate - usd_of_both)
        if bounds is not None and rate is not None and usd_of_both is not None
        else None,
        without_cost=len(rows) - len(with_cost),
        floor_eth=sum(row["floor_eth"] or 0.0 for row in rows),
        last_sales_eth=sum((row["last_sale_eth"] or 0.0) * row["quantity"] for row in rows),
        collections=collections,
        sellable_share=quick / value.sum_eth if value.sum_eth > 0 else None,
        changes=value_changes(con, value.tokens, units, at) if at is not None and as_of is None else [],
        **_realized(ledger),
    )


def _token(
    token: Token,
    lots: Sequence[OpenLot],
    ledger: Ledger | None,
    value: Mapping[str, Any] | None,
    no_value_reason: str | None,
    floors: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A token held, amounts of all its units: cost, basis, value, gain, floor, last price."""
    held = position(ledger, token, lots) if ledger and lots else {}
    units = held.get("quantity", 1)
    wei = held.get("cost_wei")
    cost = None if wei is None else wei / ETHER
    expected = value["expected_eth"] if value else None
    shown = floors or {}
    floor = shown.get("lowest_ask_eth") or shown.get("floor_proxy_eth")
    return {
        "collection": token[0],
        "token_id": token[1],
        "quantity": units,
        "wallet": held.get("wallet"),
        "acquired_at": held.get("acquired_at"),
        "basis_status": held.get("basis_status"),
        "unknown_basis_reason": held.get("unknown_basis_reason"),
        "acquisition_tx_hash": held.get("acquisition_tx_hash"),
        "cost_eth": cost,
        "cost_usd": held.get("cost_usd"),
        "estimate_eth": value["estimate_eth"] if value else None,
        "lower_80_eth": value["lower_80_eth"] if value else None,
        "upper_80_eth": value["upper_80_eth"] if value else None,
        "expected_eth": expected,
        "gain_eth": expected - cost if expected is not None and cost is not None else None,
        "grade": value["grade"] if value else None,
        "tier": value["tier"] if value else None,
        "no_value_reason": no_value_reason,
        "floor_eth": None if floor is None else floor * units,
        "floor_is_proxy": None if floor is None else shown.get("lowest_ask_eth") is None,
        "last_sale_eth": shown.get("last_sale_eth"),
    }


def _collections(
    con: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]], total: float, at: datetime | None
) -> list[dict[str, Any]]:
    """Units, value, share of the value, and how long the units take to sell at the recent pace."""
    names = sorted({row["collection"] for row in rows})
    pace = read_pace(con, names, at) if at is not None else {}
    found = []
    for name in names:
        of = [row for row in rows if row["collection"] == name]
        units, worth = sum(row["quantity"] for row in of), sum(row["expected_eth"] or 0.0 for row in of)
        a_day = pace.get(name, 0.0)
        found.append(
            {
                "collection": name,
                "units": units,
                "value_eth": worth,
                "share": worth / total if total > 0 else None,
                "sales_per_day": a_day,
                "days_to_sell": units / a_day if a_day > 0 else None,
            }
        )
    return sorted(found, key=lambda row: (-row["value_eth"], row["collection"]))


def _realized(ledger: Ledger | None) -> dict[str, Any]:
    sold = [match for _, match in ledger.matched if match.disposal.kind == "sold"] if ledger else []
    known = [match for match in sold if match.cost_wei is not None and match.proceeds_wei is not None]
    in_usd = [
        match.proceeds_usd - match.cost_usd
        for match in known
        if match.proceeds_usd is not None and match.cost_usd is not None
    ]
    in_wei = sum((match.proceeds_wei or 0) - (match.cost_wei or 0) for match in known)
    return {
        "realized_eth": in_wei / ETHER if known else None,
        "realized_usd": sum(in_usd) if known and len(in_usd) == len(known) else None,
        "realized_sales": len(sold),
        "realized_unknown": len(sold) - len(known),
    }
