"""X2Y2: EvInventory.

Here: the event → trades. Only three of its operations are sales: a listing that is bought (1), a bid that is accepted
(2), an auction that ends (5). The tokens of an order are ABI-encoded in its item; a bid on a collection has a mask, and
the accepting side fills in the token.
"""

from __future__ import annotations

from collections.abc import Sequence

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.trade import Trade, Unpriced
from sources.ethereum.log import Log, UndecodableLogError

NAME = "x2y2"
ADDRESSES = ("0x74312363e45dcaba76c59ec49a7aa8a65a67eed3",)
INVENTORY = "0x3cbb63f144840e5b1b0a38a7c19211d2e89de4d7c5faf8b2d3c1776c302d1d33"
EVENTS = (INVENTORY,)
SIDES = {1: "listing_filled", 2: "bid_accepted", 5: "auction"}
"""Operations that are sales → side."""

_DELEGATE_1155 = 2
_inventory = decoder(
    (
        "address",
        "address",
        "uint256",
        "uint256",
        "uint256",
        "uint256",
        "uint256",
        "address",
        "bytes",
        "(uint256,bytes)",
        "(uint8,uint256,uint256,uint256,bytes32,address,bytes,uint256,uint256,uint256,(uint256,address)[])",
    )
)
_tokens = decoder(("(address,uint256)[]",))
_tokens_with_amounts = decoder(("(address,uint256,uint256)[]",))


def trades_of(logs: Sequence[Log]) -> list[Trade]:
    """The trades of the X2Y2 logs of one transaction.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    trades: list[Trade] = []
    for log in logs:
        if log.event == INVENTORY:
            trades += _trades(log)
    return trades


def _trades(log: Log) -> list[Trade]:
    maker, taker, _, _, _, delegate, _, currency, mask, item, detail = _inventory(log.data)
    side = SIDES.get(detail[0])
    if side is None:
        return []  # a cancellation, a bid in a running auction, or a refund
    data = _filled_in(item[1], mask, detail[6])
    if delegate == _DELEGATE_1155:
        tokens = list(_tokens_with_amounts(data)[0])
    else:
        tokens = [(contract, token, 1) for contract, token in _tokens(data)[0]]
    accepted = side == "bid_accepted"
    alone = len(tokens) == 1
    return [
        Trade(
            marketplace=NAME,
            log_index=log.log_index,
            sub_index=position,
            contract=contract,
            token_id=token,
            quantity=quantity,
            price=detail[3] if alone else None,
            currency=currency,
            side=side,
            seller=taker if accepted else maker,
            buyer=maker if accepted else taker,
            unpriced=None if alone else Unpriced.BUNDLE,
        )
        for position, (contract, token, quantity) in enumerate(tokens)
    ]


def _filled_in(data: bytes, mask: bytes, replacement: bytes) -> bytes:
    """The item of an order, with the bytes that its mask leaves to the other side."""
    if not mask:
        return data
    if not len(data) == len(mask) == len(replacement):
        raise UndecodableLogError(
            f"expected a mask and a replacement of {len(data)} bytes, found {len(mask)} and {len(replacement)}"
        )
    return bytes(r if m else d for d, m, r in zip(data, mask, replacement, strict=True))
