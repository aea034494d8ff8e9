"""Which lot a disposal takes its units from: first in, last in, highest cost, or average cost.

Here: one token of one owner, event by event, in whole wei. Not here: reading events (`ml.portfolio.ledger`), or SQL:
the marts do the same first in, first out for every wallet at once (`fct_realized_gains`).

Concept: a token of one unit is its own lot, so every method gives the same; methods differ for quantities (ERC-1155).
A part of a lot's cost is cut so that all parts add up to the cost. What an owner gives without having it comes from an
untraced lot whose cost is unknown. With average cost one unknown cost makes the average unknown until all units are
gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ml.states import Basis, LotMethod


@dataclass(frozen=True)
class Acquired:
    """Units that came.

    Attributes:
        id: Its acquisition (fct_acquisitions).
        wallet: Which of the owner's wallets got them.
        at: When, UTC; None when untraced.
        quantity: Units, at least 1.
        kind: As in fct_acquisitions.
        basis: Whether and how the cost is known.
        cost_wei: Cost of all units; None when unknown.
        cost_usd: The same in US dollars then; None when unknown.
        reason: Why it is unknown.
        tx_hash: Transaction that brought them.
    """

    id: str
    wallet: str
    at: datetime | None
    quantity: int
    kind: str
    basis: Basis
    cost_wei: int | None
    cost_usd: float | None
    reason: str | None
    tx_hash: str | None


@dataclass(frozen=True)
class Disposed:
    """Units that went.

    Attributes:
        id: Its disposal (fct_disposals).
        wallet: Which of the owner's wallets gave them.
        at: When, UTC.
        quantity: Units, at least 1.
        kind: sold, sent, burned, unseen.
        proceeds_wei: What the owner got for all units after fees; None where nothing is known.
        proceeds_usd: The same in US dollars then.
        fees_wei: Fees, royalties and gas between price and proceeds; None when unknown.
        reason: Why there are no proceeds.
        tx_hash: Transaction that gave them away.
    """

    id: str
    wallet: str
    at: datetime
    quantity: int
    kind: str
    proceeds_wei: int | None
    proceeds_usd: float | None
    fees_wei: int | None
    reason: str | None
    tx_hash: str | None


@dataclass(frozen=True)
class Moved:
    """Units that went from one of the owner's wallets to another: they were the owner's before, and still are."""

    id: str
    wallet: str
    quantity: int
    tx_hash: str | None


@dataclass(frozen=True)
class Matched:
    """Units of one disposal from one lot; amounts are those of these units."""

    lot: Acquired
    disposal: Disposed
    quantity: int
    cost_wei: int | None
    cost_usd: float | None
    proceeds_wei: int | None
    proceeds_usd: float | None
    fees_wei: int | None


@dataclass
class OpenLot:
    """Units of a lot that are still held; `cost_wei` and `cost_usd` are theirs."""

    lot: Acquired
    held: int
    cost_wei: int | None
    cost_usd: float | None

    def take(self, units: int) -> tuple[int | None, float | None]:
        """Take units away; returns their cost."""
        wei = None
        if self.cost_wei is not None:
            # The cost of the units that stay is cut as the marts cut it, so that parts add up.
            gone = self.lot.quantity - self.held
            total = self.lot.cost_wei or 0
            wei = share(total, gone, gone + units, self.lot.quantity)
            self.cost_wei -= wei
        usd = None
        if self.cost_usd is not None:
            usd = self.cost_usd * units / self.held
            self.cost_usd -= usd
        self.held -= units
        return wei, usd


def share(amount: int, after: int, until: int, units: int) -> int:
    """The part of an amount that belongs to units `after` (excluded) to `until`, as `share_of` of the marts cuts it.

    The parts of all units add up to the amount; also of a negative one (gas above the price).
    """
    if amount < 0:
        return -share(-amount, after, until, units)
    return amount * until // units - amount * after // units


def match_lots(
    events: Sequence[Acquired | Disposed | Moved], method: LotMethod = LotMethod.FIFO
) -> tuple[list[Matched], list[OpenLot]]:
    """Match every disposal with lots.

    Args:
        events: Events of one token of one owner, in order.
        method: Which lot comes first.

    Returns:
        The matches in order, and the lots of which units are left, oldest first.
    """
    open_lots: list[OpenLot] = []
    matched: list[Matched] = []
    for event in events:
        if isinstance(event, Acquired):
            open_lots.append(OpenLot(event, event.quantity, event.cost_wei, event.cost_usd))
            continue
        missing = event.quantity - sum(lot.held for lot in open_lots)
        if missing > 0:
            open_lots.append(OpenLot(_untraced(event, missing), missing, None, None))
        if isinstance(event, Moved):
            continue
        if method == LotMethod.AVERAGE:
            _pool(open_lots)
        given = 0
        for lot in _in_order(open_lots, method):
            units = min(lot.held, event.quantity - given)
            if units > 0:
                matched.append(_match(lot, event, given, units))
                given += units
        open_lots = [lot for lot in open_lots if lot.held > 0]
    return matched, open_lots


def _in_order(lots: list[OpenLot], method: LotMethod) -> list[OpenLot]:
    if method == LotMethod.LIFO:
        return lots[::-1]
    if method == LotMethod.HIFO:
        # A cost that is not known cannot be the highest. Python compares the whole numbers exactly, without division.
        from fractions import Fraction

        def cost(lot: OpenLot) -> Fraction:
            return Fraction(-1) if lot.cost_wei is None else Fraction(lot.cost_wei, lot.held)

        return sorted(lots, key=cost, reverse=True)
    return lots


def _pool(lots: list[OpenLot]) -> None:
    """Give every unit held the average cost; dates stay those of the lots, first in, first out."""
    units = sum(lot.held for lot in lots)
    known = all(lot.cost_wei is not None for lot in lots)
    in_usd = all(lot.cost_usd is not None for lot in lots)
    wei, usd = sum(lot.cost_wei or 0 for lot in lots), sum(lot.cost_usd or 0.0 for lot in lots)
    why = next((lot.lot.reason for lot in lots if lot.cost_wei is None), None)
    before = 0
    for lot in lots:
        cost = share(wei, before, before + lot.held, units) if known else None
        before += lot.held
        lot.cost_wei, lot.cost_usd = cost, usd * lot.held / units if in_usd else None
        basis = lot.lot.basis if known else Basis.UNKNOWN
        lot.lot = replace(
            lot.lot, quantity=lot.held, cost_wei=cost, cost_usd=lot.cost_usd, basis=basis, reason=why
        )


def _match(lot: OpenLot, event: Disposed, given: int, units: int) -> Matched:
    cost_wei, cost_usd = lot.take(units)

    def part(amount: int | None) -> int | None:
        return None if amount is None else share(amount, given, given + units, event.quantity)

    usd = None if event.proceeds_usd is None else event.proceeds_usd * units / event.quantity
    return Matched(
        lot.lot, event, units, cost_wei, cost_usd, part(event.proceeds_wei), usd, part(event.fees_wei)
    )


def _untraced(event: Disposed | Moved, units: int) -> Acquired:
    return Acquired(
        f"untraced {event.id}",
        event.wallet,
        None,
        units,
        "untraced",
        Basis.UNKNOWN,
        None,
        None,
        "no_record_of_acquisition",
        event.tx_hash,
    )
