"""What a decoder makes of logs: trades of tokens, and movements of tokens.

Here: the two facts, and why a trade has no price. Not here: rows of the raw contract (`sources.ethereum.rows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NATIVE = "0x" + "0" * 40
"""Stands for the chain's own coin where a contract of a currency is expected."""


class Unpriced(StrEnum):
    """Why a trade has no price of its own. It is recorded with this reason and never guessed."""

    BUNDLE = "bundle"
    SWAP = "swap"
    SEVERAL_CURRENCIES = "several_currencies"
    UNKNOWN_BID = "unknown_bid"
    UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class Trade:
    """One token that changed hands in a trade.

    Attributes:
        marketplace: Venue.
        log_index: Log that states the trade.
        sub_index: Position among the trades of that log.
        contract: Contract of the token; empty when the log cannot be decoded.
        token_id: Token.
        quantity: Units.
        price: Paid for all units together, fees and royalties included, in base units; None: see `unpriced`.
        currency: Contract of the currency, `NATIVE` for the chain's coin.
        side: Word of the raw contract; None when the log does not say.
        seller: Who gave the token; None when the logs do not say.
        buyer: Who got it; None when the logs do not say.
        fee: Part of the price that went to the venue, base units; None when the log does not say.
        royalty: Part of the price that went to the creator, base units; None when the log does not say.
        unpriced: Why there is no price.
        detail: What was found, for people, where `unpriced` alone does not say.
    """

    marketplace: str
    log_index: int
    sub_index: int
    contract: str
    token_id: int
    quantity: int = 1
    price: int | None = None
    currency: str = NATIVE
    side: str | None = None
    seller: str | None = None
    buyer: str | None = None
    fee: int | None = None
    royalty: int | None = None
    unpriced: Unpriced | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """One token that moved from one address to another.

    Attributes:
        log_index: Log that states it.
        sub_index: Position among the movements of that log.
        contract: Contract of the token.
        token_id: Token.
        quantity: Units.
        giver: Previous owner; the zero address for a mint.
        receiver: New owner.
    """

    log_index: int
    sub_index: int
    contract: str
    token_id: int
    quantity: int
    giver: str
    receiver: str
