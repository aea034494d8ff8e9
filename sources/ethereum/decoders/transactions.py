"""All marketplaces together: the logs of one transaction → its trades and movements.

Here: which contract and event is whose. Not here: what an event means (the marketplaces' files). A decoder is chosen by
the contract *and* the event: three marketplaces have an event called OrdersMatched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sources.ethereum.decoders import (
    blur,
    chainlink,
    cryptopunks,
    looksrare,
    movements,
    seaport,
    updates,
    x2y2,
)
from sources.ethereum.decoders.trade import Movement, Trade, Unpriced
from sources.ethereum.log import Log, UndecodableLogError

MARKETS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = tuple(
    (market.NAME, market.ADDRESSES, market.EVENTS) for market in (seaport, blur, looksrare, x2y2)
)
"""(venue, its contracts, its events) of the marketplaces that trade other contracts' tokens."""

MARKET_OF = {address: name for name, addresses, _ in MARKETS for address in addresses}
"""Contract → venue."""

SALE_EVENTS = tuple(event for _, _, events in MARKETS for event in events)
"""Events of marketplaces to ask a node for."""

MOVEMENT_EVENTS = (*movements.EVENTS, *cryptopunks.EVENTS)
"""Events of watched contracts that move tokens."""

WATCHED_EVENTS = (*MOVEMENT_EVENTS, *updates.EVENTS, chainlink.ANSWER_UPDATED)
"""Events of watched contracts, and of price feeds, to ask a node for."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What happened in one transaction."""

    trades: tuple[Trade, ...]
    movements: tuple[Movement, ...]


def decode(logs: Sequence[Log], bids: cryptopunks.Bids) -> Decoded:
    """Trades and movements of the logs of one transaction.

    A log that does not hold what its event promises gives a trade with the reason `UNDECODABLE`, and does not stop the
    others.

    Args:
        logs: The transaction's logs in their order.
        bids: The open bids on punks before the transaction; brought up to date.
    """
    trades: list[Trade] = []
    moved: list[Movement] = []
    of_market: dict[str, list[Log]] = {}
    punks: list[Log] = []
    for log in logs:
        name = MARKET_OF.get(log.address)
        if name is not None:
            of_market.setdefault(f"{name} {log.address}", []).append(log)
            continue
        try:
            moved += movements.movements_of(log)
            if log.address == cryptopunks.ADDRESS:
                cryptopunks.require_readable(log)
                punks.append(log)
        except UndecodableLogError as error:
            trades.append(_undecodable(log, "transfer", error))
    if punks:
        moved += cryptopunks.movements_of(punks)
        trades += cryptopunks.trades_of(punks, bids)
        cryptopunks.follow_bids(bids, punks)
    for key, some in of_market.items():
        name = key.partition(" ")[0]
        trades += _each(name, some, _decoders(moved)[name])
    trades.sort(key=lambda trade: (trade.log_index, trade.sub_index))
    moved.sort(key=lambda movement: (movement.log_index, movement.sub_index))
    return Decoded(tuple(trades), tuple(moved))


def _decoders(moved: Sequence[Movement]) -> dict[str, Callable[[Sequence[Log]], list[Trade]]]:
    return {
        seaport.NAME: seaport.trades_of,
        blur.NAME: lambda logs: blur.trades_of(logs, moved),
        looksrare.NAME: looksrare.trades_of,
        x2y2.NAME: x2y2.trades_of,
    }


def _each(name: str, logs: Sequence[Log], trades_of: Callable[[Sequence[Log]], list[Trade]]) -> list[Trade]:
    """The trades of all logs together; if one cannot be decoded, those of the others."""
    try:
        return trades_of(logs)
    except UndecodableLogError:
        pass
    good: list[Log] = []
    bad: list[Trade] = []
    for log in logs:
        try:
            trades_of([log])
            good.append(log)
        except UndecodableLogError as error:
            bad.append(_undecodable(log, name, error))
    return [*trades_of(good), *bad]


def _undecodable(log: Log, name: str, error: UndecodableLogError) -> Trade:
    return Trade(
        marketplace=name,
        log_index=log.log_index,
        sub_index=0,
        contract="",
        token_id=0,
        unpriced=Unpriced.UNDECODABLE,
        detail=str(error),
    )
