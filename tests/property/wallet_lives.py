"""What every wallet of a made-up market has, one event after the other, and the raw rows that report the events.

The oracle of the marts of lots, slow and simple on purpose. It never reads a row. Here: lots and rows. Not here: what
happens (`wallet_events`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.integration.marts_market import START, Row, sale
from tests.integration.moves_market import WRAPPED, WRAPPER, transfer

WALLETS = [f"0xw{number}" for number in range(6)]


@dataclass
class Lot:
    """Units that came together.

    Attributes:
        kind: As in fct_acquisitions.
        at: When; None when untraced.
        quantity: Units that came.
        cost: Their cost in wei; None when unknown.
        reason: Why it is unknown.
        gone: Units given away since.
    """

    kind: str
    at: datetime | None
    quantity: int
    cost: int | None
    reason: str | None = None
    gone: int = 0

    @property
    def held(self) -> int:
        """Units still there."""
        return self.quantity - self.gone

    def cost_of(self, after: int, until: int) -> int | None:
        """Cost of its units `after` (excluded) to `until`; all parts add up to the cost."""
        if self.cost is None:
            return None
        return self.cost * until // self.quantity - self.cost * after // self.quantity


Token = tuple[str, str]


@dataclass
class Market:
    """What happened so far.

    Attributes:
        draw: Random numbers.
        rows: Raw rows by table.
        lots: Lots of every wallet and token, oldest first.
        acquired: Every lot with its wallet and token.
        gains: Expected rows of fct_realized_gains, without ids.
        log: What came and went, in order, with the transaction's number.
        in_custody: Owner of each single token that a contract holds, and whether it is wrapped.
        deposits: Units of a multiple token that a wallet has in a contract.
    """

    draw: Random
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    lots: dict[tuple[str, Token], list[Lot]] = field(default_factory=lambda: defaultdict(list))
    acquired: list[tuple[str, Token, Lot]] = field(default_factory=list)
    gains: list[tuple[Any, ...]] = field(default_factory=list)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    in_custody: dict[Token, str] = field(default_factory=dict)
    deposits: dict[tuple[str, Token], int] = field(default_factory=lambda: defaultdict(int))
    number: int = 0
    at: datetime = START

    def tick(self) -> None:
        """The next transaction."""
        self.number += 1
        self.at += timedelta(seconds=self.draw.randrange(1, 90_000))

    # --- what a wallet has -------------------------------------------------------------------------------------

    def held(self, wallet: str, token: Token) -> int:
        """Units that a wallet has, in its own hands or in a contract."""
        return sum(lot.held for lot in self.lots[wallet, token])

    def owner(self, token: Token) -> str | None:
        """Who has a single token; None before anybody is known to."""
        owners = [wallet for wallet in WALLETS if self.held(wallet, token)]
        assert len(owners) <= 1
        return owners[0] if owners else None

    def get(self, wallet: str, token: Token, lot: Lot) -> None:
        """A wallet gets units."""
        self.log.append(("get", self.number, self.at, wallet, token, lot))
        self._get(wallet, token, lot)

    def _get(self, wallet: str, token: Token, lot: Lot) -> None:
        self.lots[wallet, token].append(lot)
        self.acquired.append((wallet, token, lot))

    def give(
        self, wallet: str, token: Token, units: int, kind: str, proceeds: int | None, why: str | None
    ) -> None:
        """A wallet gives units away, the oldest first; what it was not known to have is untraced."""
        self.log.append(("give", self.number, self.at, wallet, token, units, kind, proceeds, why))
        missing = units - self.held(wallet, token)
        if missing > 0:
            self._get(wallet, token, Lot("untraced", None, missing, None, "no_record_of_acquisition"))
        given = 0
        for lot in self.lots[wallet, token]:
            taken = min(lot.held, units - given)
            if taken <= 0:
                continue
            cost = lot.cost_of(lot.gone, lot.gone + taken)
            part = None
            if proceeds is not None:
                part = proceeds * (given + taken) // units - proceeds * given // units
            reason = why if kind != "sold" else lot.reason
            gain = part - cost if part is not None and cost is not None and kind == "sold" else None
            self.gains.append(
                (wallet, *token, taken, lot.kind, kind, lot.at, self.at, cost, part, gain, reason)
            )
            lot.gone += taken
            given += taken

    # --- rows --------------------------------------------------------------------------------------------------

    def moves(self, token: Token, *hops: tuple[str, str, int], wrapped: bool = False) -> None:
        """Rows of the transfers of one token in this transaction, in order."""
        collection = "wpunks" if wrapped else token[0]
        contract = WRAPPER if wrapped else WRAPPED if token[0] == "punks" else "0xa"
        reported = [row for row in self.rows["transfers"] if row["tx_hash"] == f"0xm{self.number:063x}"]
        for place, (giver, receiver, units) in enumerate(hops, start=len(reported)):
            row = transfer(
                self.number,
                self.at,
                token[1],
                giver,
                receiver,
                log_index=2 * place,
                quantity=units if units > 1 or self.draw.random() < 0.5 else None,
                collection=collection,
                contract=contract,
                source_row=f"m:{self.number}:{place}:{collection}:{token[1]}",
            )
            self.rows["transfers"].append(row)
            if self.draw.random() < 0.1:  # reported twice
                self.rows["transfers"].append({**row, "source_row": row["source_row"] + ":again"})

    def sold(
        self, token: Token, seller: str | None, buyer: str, units: int, price: float | None, **changes: Any
    ) -> Row:
        """The row of a sale in this transaction."""
        place = len(self.rows["sales"])
        collection = changes.pop("collection", token[0])
        row = sale(
            90_000 + place,
            at=self.at,
            tx_hash=f"0xm{self.number:063x}",
            log_index=1000 + place,
            collection=collection,
            token_id=token[1],
            seller=seller,
            buyer=buyer,
            quantity=units if units > 1 else None,
            price_native=price,
            currency=self.draw.choice(["ETH", "WETH", "BETH"]),
            source_row=f"s:{place}",
            **changes,
        )
        self.rows["sales"].append(row)
        return row


def wei(eth: float) -> int:
    """A price with at most six decimals in wei."""
    return round(eth * 10**6) * 10**12


def as_one_owner(market: Market, wallets: set[str]) -> Market:
    """The life of several wallets as that of one owner, whom the first of them stands for: own moves are none."""
    owner = min(wallets)
    together = Market(Random(0))
    entries = iter([*market.log, None])
    entry = next(entries)
    while entry is not None:
        following = next(entries)
        kind, together.number, together.at, wallet, token, *rest = entry
        inside = (
            kind == "give"
            and following is not None
            and following[0] == "get"
            and {wallet, following[3]} <= wallets
            and (following[1], following[4]) == (together.number, token)
        )
        if inside:
            following = next(entries)
            missing = rest[0] - together.held(owner, token)
            if missing > 0:  # it was the owner's before, and no row shows how it came
                together.get(owner, token, Lot("untraced", None, missing, None, "no_record_of_acquisition"))
        elif wallet in wallets and kind == "give":
            together.give(owner, token, *rest)
        elif wallet in wallets:
            together.get(owner, token, replace(rest[0], gone=0))
        entry = following
    return together
