"""Blur v1 (OrdersMatched) and v2 (Execution, and the packed events of one ERC-721 token).

Here: the events → trades. The packed events name only the maker: the other side is found in the movement of the token
in the same transaction.

Packed words (contracts of Blur v2): token (11 bytes) | index of the listing (1) | maker (20), and side (1) | price (11)
| collection (20). Side 0: the maker sells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.trade import NATIVE, Movement, Trade
from sources.ethereum.log import Log

NAME = "blur"
V1 = "0x000000000000ad05ccc4f10045630fb830b95127"
V2 = "0xb2ecfe4e4d61f8790bbb9de2d1259b9e2410cea5"
POOL = "0x0000000000a39bb272e79075ade125fd351887ac"
"""Contract of the pool ETH, in which bids are paid."""
ADDRESSES = (V1, V2)
ORDERS_MATCHED = "0x61cbb2a3dee0b6064c2e681aadd61677fb4ef319f0b547508d495626f5a62f64"
EXECUTION = "0xf2f66294df6fae7ac681cbe2f6d91c6904485929679dce263e8f6539b7d5c559"
PACKED = {
    "0x1d5e12b51dee5e4d34434576c3fb99714a85f57b0fd546ada4b0bddd736d12b2": None,
    "0x0fcf17fac114131b10f37b183c6a60f905911e52802caeeb3e6ea210398b81ab": "taker",
    "0x7dc5c0699ac8dd5250cbe368a2fc3b4a2daadb120ad07f6cccea29f83482686e": "maker",
}
"""Packed events, and whose fee each states."""
EVENTS = (ORDERS_MATCHED, EXECUTION, *PACKED)

_BASIS_POINTS = 10_000
_SIDE_BID = 1
_ORDER = (
    "(address,uint8,address,address,uint256,uint256,address,uint256,uint256,uint256,"
    "(uint16,address)[],uint256,bytes)"
)
_orders = decoder((_ORDER, "bytes32", _ORDER, "bytes32"))
_execution = decoder(
    (
        "(address,uint256,uint256,address,uint8)",
        "bytes32",
        "uint256",
        "uint256",
        "(address,uint16)",
        "((address,uint16),(address,uint16))",
        "uint8",
    )
)
_packed = decoder(("bytes32", "uint256", "uint256"))


def trades_of(logs: Sequence[Log], movements: Iterable[Movement]) -> list[Trade]:
    """The trades of the Blur logs of one transaction.

    Args:
        logs: Logs of Blur's contracts.
        movements: All movements of tokens in the transaction.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    moved = list(movements)
    trades: list[Trade] = []
    for log in logs:
        if log.address == V1 and log.event == ORDERS_MATCHED:
            trades.append(_first_version(log))
        elif log.address == V2 and log.event == EXECUTION:
            trades.append(_second_version(log, moved))
        elif log.address == V2 and log.event in PACKED:
            trades.append(_from_packed(log, moved))
    return trades


def _first_version(log: Log) -> Trade:
    sell, _, buy, _ = _orders(log.data)
    # The order that was listed first is the maker's, and its price counts.
    sold_from_listing = sell[8] <= buy[8]
    price = sell[7] if sold_from_listing else buy[7]
    return Trade(
        marketplace=NAME,
        log_index=log.log_index,
        sub_index=0,
        contract=sell[3],
        token_id=sell[4],
        quantity=max(sell[5], 1),  # ERC-721 orders may say 0
        price=price,
        currency=sell[6],
        side="listing_filled" if sold_from_listing else "bid_accepted",
        seller=sell[0],
        buyer=buy[0],
        royalty=sum(price * rate // _BASIS_POINTS for rate, _ in sell[10]),
    )


def _second_version(log: Log, movements: Sequence[Movement]) -> Trade:
    (maker, token, quantity, contract, _), _, _, price, _, (protocol, _), side = _execution(log.data)
    return _trade(
        log, movements, contract, token, max(quantity, 1), price, side, maker, _share(price, protocol[1])
    )


def _from_packed(log: Log, movements: Sequence[Movement]) -> Trade:
    _, token_and_maker, price_and_contract = _packed(log.data[:96])
    return _trade(
        log,
        movements,
        contract=_address(price_and_contract),
        token=token_and_maker >> 168,
        quantity=1,
        price=(price_and_contract >> 160) & (2**88 - 1),
        side=price_and_contract >> 248,
        maker=_address(token_and_maker),
        fee=None,
    )


def _trade(
    log: Log,
    movements: Sequence[Movement],
    contract: str,
    token: int,
    quantity: int,
    price: int,
    side: int,
    maker: str,
    fee: int | None,
) -> Trade:
    is_bid = side == _SIDE_BID
    other = None
    for movement in movements:
        if (movement.contract, movement.token_id) == (contract, token):
            if is_bid and movement.receiver == maker:
                other = movement.giver
            elif not is_bid and movement.giver == maker:
                other = movement.receiver
    return Trade(
        marketplace=NAME,
        log_index=log.log_index,
        sub_index=0,
        contract=contract,
        token_id=token,
        quantity=quantity,
        price=price,
        currency=POOL if is_bid else NATIVE,
        side="bid_accepted" if is_bid else "listing_filled",
        seller=other if is_bid else maker,
        buyer=maker if is_bid else other,
        fee=fee,
    )


def _share(price: int, rate: int) -> int:
    return price * rate // _BASIS_POINTS


def _address(word: int) -> str:
    return f"0x{word & (2**160 - 1):040x}"
