"""CryptoPunks: a collection that is its own marketplace, older than ERC-721.

Here: its sales and movements. A fault of the contract: accepting a bid logs value 0 and buyer 0x0. The buyer is the
receiver of the Transfer in the same transaction, and the price that buyer's latest bid on the punk that was not
withdrawn. Value 0 with a buyer is a gift through an offer to that account: no sale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.movements import TRANSFER
from sources.ethereum.decoders.trade import NATIVE, Movement, Trade, Unpriced
from sources.ethereum.log import Log

NAME = "cryptopunks"
ADDRESS = "0xb47e3cd837ddf8e4c57f05d70ab865de6e193bbb"
BOUGHT = "0x58e5d5a525e3b40bc15abaa38b5882678db1ee68befd2f60bafe3a7fd06db9e3"
BID_ENTERED = "0x5b859394fabae0c1ba88baffe67e751ab5248d2e879028b8c8d6897b0519f56a"
BID_WITHDRAWN = "0x6f30e1ee4d81dcc7a8a478577f65d2ed2edb120565960ac45fe7c50551c87932"
PUNK_TRANSFER = "0x05af636b70da6819000c49f85b21fa82081c632069bb626f30932034099107d8"
ASSIGN = "0x8a0e37b73a0d9c82e205d4d1a3ff3d0b57ce5f4d7bccf6bac03336dc101cb7ba"
EVENTS = (BOUGHT, BID_ENTERED, BID_WITHDRAWN, PUNK_TRANSFER, ASSIGN)

_number = decoder(("uint256",))
Bids = dict[int, tuple[str, int]]
"""Punk → the account and the value of its open bid. A punk has one at a time: the contract refunds the one before."""


def require_readable(log: Log) -> None:
    """Check that a log of the contract holds what its event promises.

    Raises:
        UndecodableLogError: It does not.
    """
    trades_of([log], {})
    movements_of([log])
    follow_bids({}, [log])


def follow_bids(bids: Bids, logs: Iterable[Log]) -> None:
    """Bring the open bids up to date with later logs, in their order.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    for log in logs:
        if log.address != ADDRESS:
            continue
        if log.event == BID_ENTERED:
            bids[log.topic_number(1)] = (log.topic_address(2), _number(log.data)[0])
        elif log.event == BID_WITHDRAWN:
            bids.pop(log.topic_number(1), None)
        elif log.event == BOUGHT:
            accepted, buyer = _accepted(log), log.topic_address(3)
            # A buyer's own bid ends when the punk is bought; a bid of somebody else stays.
            if accepted or bids.get(log.topic_number(1), ("", 0))[0] == buyer:
                bids.pop(log.topic_number(1), None)


def trades_of(logs: Sequence[Log], bids: Bids) -> list[Trade]:
    """The sales among the punk logs of one transaction.

    Args:
        logs: Logs of the contract in this transaction.
        bids: The open bids before the transaction.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    trades: list[Trade] = []
    open_bids = dict(bids) if any(log.event == BID_ENTERED for log in logs) else bids
    for position, log in enumerate(logs):
        if log.address != ADDRESS or log.event != BOUGHT:
            if log.event in (BID_ENTERED, BID_WITHDRAWN):
                follow_bids(open_bids := dict(open_bids), [log])
            continue
        punk, value = log.topic_number(1), _number(log.data)[0]
        seller, buyer = log.topic_address(2), log.topic_address(3)
        if not _accepted(log):
            if value:
                trades.append(_sale(log, punk, seller, buyer, value, "listing_filled"))
            continue
        receiver = _receiver(logs[:position], seller)
        account, bid = open_bids.get(punk, ("", 0))
        if receiver is not None and account == receiver:
            trades.append(_sale(log, punk, seller, receiver, bid, "bid_accepted"))
        else:
            trades.append(_sale(log, punk, seller, receiver, None, "bid_accepted"))
    return trades


def movements_of(logs: Sequence[Log]) -> list[Movement]:
    """The movements of punks among the punk logs of one transaction. PunkBought moves, too."""
    found = []
    for position, log in enumerate(logs):
        if log.address != ADDRESS:
            continue
        giver: str | None
        receiver: str | None
        if log.event == BOUGHT:
            punk, giver = log.topic_number(1), log.topic_address(2)
            receiver = _receiver(logs[:position], giver) if _accepted(log) else log.topic_address(3)
        elif log.event == PUNK_TRANSFER:
            punk = _number(log.data)[0]
            giver, receiver = log.topic_address(1), log.topic_address(2)
        elif log.event == ASSIGN:
            punk, giver, receiver = _number(log.data)[0], NATIVE, log.topic_address(1)
        else:
            continue
        if receiver is not None:
            found.append(Movement(log.log_index, 0, ADDRESS, punk, 1, giver, receiver))
    return found


def _accepted(log: Log) -> bool:
    return log.topic_address(3) == NATIVE and _number(log.data)[0] == 0


def _receiver(before: Sequence[Log], seller: str) -> str | None:
    """Who got a punk from `seller` by the last Transfer before."""
    for log in reversed(before):
        if log.address == ADDRESS and log.event == TRANSFER and log.topic_address(1) == seller:
            return log.topic_address(2)
    return None


def _sale(log: Log, punk: int, seller: str, buyer: str | None, price: int | None, side: str) -> Trade:
    return Trade(
        marketplace=NAME,
        log_index=log.log_index,
        sub_index=0,
        contract=ADDRESS,
        token_id=punk,
        price=price,
        side=side,
        seller=seller,
        buyer=buyer,
        fee=0,
        royalty=0,
        unpriced=Unpriced.UNKNOWN_BID if price is None else None,
    )
