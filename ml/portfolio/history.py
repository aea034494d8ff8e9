"""The value of an owner's wallets by day, and the return on it.

Here: `value_history` over predictions.wallet_valuations, and `time_weighted_return`. Not here: making the valuations
(`wallets`), or what moved in between (`ledger`).

Concept: a time-weighted return is what one ether in the portfolio became, whatever was put in or taken out. Each period
between two valuations has its own return, (value after + taken out) / (value before + put in), and these are chained.
What is put in counts at its cost and what is taken out at its proceeds. A period in which something came or went whose
price is not known has no return: it is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import duckdb

from lake.bound import execute_bound
from ml.portfolio.ledger import Ledger
from ml.portfolio.lots import Acquired, Disposed


@dataclass(frozen=True)
class DayValue:
    """What the wallets held at a time, together: value and known cost in ETH, and how many tokens."""

    as_of: datetime
    value_eth: float
    cost_eth: float
    tokens: int


@dataclass(frozen=True)
class Return:
    """A time-weighted return.

    Attributes:
        rate: 0.1 is 10 % more; None without a period that has one.
        start, end: First and last valuation.
        periods: Periods in the return.
        left_out: Periods without one: something came or went whose price is not known, or nothing was held before.
    """

    rate: float | None
    start: datetime | None
    end: datetime | None
    periods: int
    left_out: int


def value_history(
    con: duckdb.DuckDBPyConnection, wallets: Sequence[str], until: datetime | None = None
) -> list[DayValue]:
    """The value of wallets together at every time, to `until`, at which one of them changed, oldest first.

    A return needs a ledger that ends at the same time: what moved later has no flow.
    """
    rows = execute_bound(
        con,
        """
        select as_of, wallet, value_eth, cost_eth, tokens from predictions.wallet_valuations
        where list_contains($wallets, wallet) and ($until::timestamp is null or as_of <= $until)
        order by as_of, wallet
        """,
        {"wallets": list(wallets), "until": until},
    ).fetchall()
    newest: dict[str, tuple[float, float, int]] = {}
    history: list[DayValue] = []
    for as_of, wallet, *amounts in rows:
        newest[wallet] = (amounts[0], amounts[1], amounts[2])
        value, cost, tokens = (sum(row[place] for row in newest.values()) for place in range(3))
        if history and history[-1].as_of == as_of:
            history.pop()
        history.append(DayValue(as_of, float(value), float(cost), int(tokens)))
    return history


def time_weighted_return(history: Sequence[DayValue], ledger: Ledger) -> Return:
    """The return over a history, by what the ledger says was put in and taken out."""
    if not history:
        return Return(None, None, None, 0, 0)
    got, gave = _flows(ledger)
    growth, periods, left_out = 1.0, 0, 0
    for before, after in pairwise(history):
        came = [amount for at, amount in got if before.as_of <= at < after.as_of]
        went = [amount for at, amount in gave if before.as_of <= at < after.as_of]
        if None in came or None in went:
            left_out += 1
            continue
        invested = before.value_eth + sum(amount or 0.0 for amount in came)
        if invested <= 0:
            left_out += 1
            continue
        growth *= (after.value_eth + sum(amount or 0.0 for amount in went)) / invested
        periods += 1
    rate = growth - 1.0 if periods else None
    return Return(rate, history[0].as_of, history[-1].as_of, periods, left_out)


def _flows(ledger: Ledger) -> tuple[list[tuple[datetime, float | None]], list[tuple[datetime, float | None]]]:
    """When units came at which cost and went at which proceeds, ETH; None where it is not known."""
    lots: dict[str, Acquired] = {match.lot.id: match.lot for _, match in ledger.matched}
    lots |= {lot.lot.id: lot.lot for held in ledger.held.values() for lot in held}
    disposals: dict[str, Disposed] = {match.disposal.id: match.disposal for _, match in ledger.matched}
    # what came untraced has no cost: the period in which it went has no return
    came = [
        (lot.at, None if lot.cost_wei is None else lot.cost_wei / 1e18)
        for lot in lots.values()
        if lot.at is not None
    ]
    went = [
        (disposal.at, None if disposal.proceeds_wei is None else disposal.proceeds_wei / 1e18)
        for disposal in disposals.values()
    ]
    untraced = {match.disposal.at for _, match in ledger.matched if match.lot.at is None}
    return came + [(at, None) for at in untraced], went
