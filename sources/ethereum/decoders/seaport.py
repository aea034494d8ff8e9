"""Seaport 1.1 to 1.6.

Here: OrderFulfilled and OrdersMatched → trades. The rules are those of docs/domain.md, section 13: every
consideration counts (tips and royalties are part of what was paid), an order with several tokens has no price of its
own, and an order that gives and takes tokens is a swap.

`matchOrders` logs one sale twice, once for each side. OrdersMatched (since 1.4) names the orders that met; before, the
orders of a match have no recipient and follow one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.trade import NATIVE, Trade, Unpriced
from sources.ethereum.log import Log

NAME = "seaport"
ADDRESSES = (
    "0x00000000006c3852cbef3e08e8df289169ede581",  # 1.1
    "0x00000000000006c7676171937c444f6bde3d6282",  # 1.2
    "0x0000000000000ad24e80fd803c6ac37206a45f15",  # 1.3
    "0x00000000000001ad428e4906ae43d8f9852d0dd6",  # 1.4
    "0x00000000000000adc04c56bf30ac9d3c0aaf14dc",  # 1.5
    "0x0000000000000068f116a894984e2db1123eb395",  # 1.6
)
ORDER_FULFILLED = "0x9d9af8e38d66c62e2c12f0225249fd9d721c54b83f48d9352c97c6cacdcb6f31"
ORDERS_MATCHED = "0x4b9f2d36e1b4c93de62cc077b00b1a91d84b6c31b4a14e012718dcca230689e7"
EVENTS = (ORDER_FULFILLED, ORDERS_MATCHED)
FEE_RECIPIENTS = frozenset(
    {
        "0x0000a26b00c1f0df003000390027140000faa719",
        "0x8de9c5a032463c561423387a9648c5c7bcc5bc90",
        "0x5b3256965e7c3cf26e11fcaf296dfc8807c01073",
    }
)
"""Accounts in which OpenSea collects its fee."""

_FIRST_TOKEN_TYPE = 2  # 0 is the chain's coin, 1 ERC-20, 2 ERC-721, 3 ERC-1155
_order = decoder(
    (
        "bytes32",
        "address",
        "(uint8,address,uint256,uint256)[]",
        "(uint8,address,uint256,uint256,address)[]",
    )
)
_matched = decoder(("bytes32[]",))

Token = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Order:
    """One OrderFulfilled. Items are (type, contract, identifier, amount), considerations also have a recipient."""

    log: Log
    order_hash: bytes
    offerer: str
    recipient: str
    offer: tuple[tuple[int, str, int, int], ...]
    consideration: tuple[tuple[int, str, int, int, str], ...]


def read_order(log: Log) -> Order:
    """The order that an OrderFulfilled states.

    Raises:
        UndecodableLogError: The data are not those of an order.
    """
    order_hash, recipient, offer, consideration = _order(log.data)
    return Order(log, order_hash, log.topic_address(1), recipient, offer, consideration)


def trades_of(logs: Sequence[Log]) -> list[Trade]:
    """The trades of the Seaport logs of one transaction and one contract, in the order of their logs.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    orders = [read_order(log) for log in logs if log.event == ORDER_FULFILLED]
    trades: list[Trade] = []
    for group in _groups(orders, logs):
        trades += _matched_trades(group) if len(group) > 1 else _order_trades(group[0])
    return sorted(trades, key=lambda trade: (trade.log_index, trade.sub_index))


def _groups(orders: Sequence[Order], logs: Sequence[Log]) -> list[list[Order]]:
    """Orders that were matched with one another, and each other order alone."""
    groups: list[list[Order]] = []
    left = list(orders)
    for log in logs:
        if log.event != ORDERS_MATCHED:
            continue
        hashes = set(_matched(log.data)[0])
        members = [o for o in left if o.order_hash in hashes and o.log.log_index < log.log_index]
        if members:
            groups.append(members)
            left = [o for o in left if o not in members]
    run: list[Order] = []
    for order in left:
        if order.recipient != NATIVE:
            groups.append([order])
        elif run and order.log.log_index == run[-1].log.log_index + 1:
            run.append(order)
        else:
            groups += [run] if run else []
            run = [order]
    return [*groups, run] if run else groups


def _matched_trades(group: Sequence[Order]) -> list[Trade]:
    """One trade for each token, although both sides state it; what the buyer's side offered is the price."""
    bids: dict[Token, Trade] = {}
    accounts: dict[Token, str] = {}
    for order in group:
        if not _tokens(order.offer):
            bids |= {(t.contract, t.token_id): t for t in _order_trades(order)}
            accounts |= dict.fromkeys(_tokens(order.consideration), order.offerer)
    trades = []
    for order in group:
        for trade in _order_trades(order) if _tokens(order.offer) else ():
            token = (trade.contract, trade.token_id)
            bid = bids.pop(token, None)
            side = "private" if trade.side == "private" else None
            buyer = trade.buyer if trade.side == "private" else accounts.get(token)
            if bid is not None and bid.price is not None and trade.unpriced is None:
                merged = replace(bid, log_index=trade.log_index, sub_index=trade.sub_index)
                trade = replace(merged, seller=trade.seller, quantity=trade.quantity)
            trades.append(replace(trade, side=side, buyer=buyer))
    return [*trades, *bids.values()]


def _order_trades(order: Order) -> list[Trade]:
    """The trades that one order states by itself."""
    offered, asked = _tokens(order.offer), _tokens(order.consideration)
    common = {"marketplace": NAME, "log_index": order.log.log_index}
    if offered and not _currencies(order.offer):
        private = {token: account for token, account in _receivers(order).items() if token in offered}
        if not asked.keys() - offered.keys():
            return _priced(
                offered,
                _currencies(order.consideration),
                order.consideration,
                seller=order.offerer,
                buyers=private,
                buyer=order.recipient,
                side="private" if private else "listing_filled",
                common=common,
            )
    elif asked and not offered:
        paid = _currencies(order.offer)
        others = _currencies(order.consideration).keys() - paid.keys()
        if not others:
            return _priced(
                asked,
                paid,
                order.consideration,
                seller=order.recipient,
                buyers={},
                buyer=order.offerer,
                side="bid_accepted",
                common=common,
            )
        return _without_price(asked, Unpriced.SEVERAL_CURRENCIES, order.recipient, order.offerer, common)
    elif not offered and not asked:
        return []  # one currency for another
    return [
        *_without_price(offered, Unpriced.SWAP, order.offerer, order.recipient, common),
        *_without_price(asked, Unpriced.SWAP, order.recipient, order.offerer, common, first=len(offered)),
    ]


def _priced(
    tokens: dict[Token, int],
    paid: dict[str, int],
    consideration: Iterable[tuple[int, str, int, int, str]],
    *,
    seller: str,
    buyers: dict[Token, str],
    buyer: str,
    side: str,
    common: dict[str, object],
) -> list[Trade]:
    """Trades of tokens for currencies: a price when there is one token and one currency."""
    if len(paid) > 1:
        return _without_price(tokens, Unpriced.SEVERAL_CURRENCIES, seller, buyer, common)
    currency, price = next(iter(paid.items()), (NATIVE, 0))
    shares = [(account, amount) for kind, _, _, amount, account in consideration if kind < _FIRST_TOKEN_TYPE]
    fee = sum(amount for account, amount in shares if account in FEE_RECIPIENTS)
    others = [a for a, _ in shares if a not in FEE_RECIPIENTS and a != seller]
    alone = len(tokens) == 1
    return [
        Trade(
            **common,  # type: ignore[arg-type]
            sub_index=position,
            contract=contract,
            token_id=token,
            quantity=quantity,
            price=price if alone else None,
            currency=currency,
            side=side,
            seller=_account(seller),
            buyer=_account(buyers.get((contract, token), buyer)),
            fee=fee if alone else None,
            # A royalty and a tip look the same: only the absence of both is known.
            royalty=0 if alone and not others else None,
            unpriced=None if alone else Unpriced.BUNDLE,
        )
        for position, ((contract, token), quantity) in enumerate(tokens.items())
    ]


def _without_price(
    tokens: dict[Token, int],
    reason: Unpriced,
    seller: str,
    buyer: str,
    common: dict[str, object],
    *,
    first: int = 0,
) -> list[Trade]:
    return [
        Trade(
            **common,  # type: ignore[arg-type]
            sub_index=first + position,
            contract=contract,
            token_id=token,
            quantity=quantity,
            seller=_account(seller),
            buyer=_account(buyer),
            unpriced=reason,
        )
        for position, ((contract, token), quantity) in enumerate(tokens.items())
    ]


def _tokens(items: Iterable[tuple[int, str, int, int] | tuple[int, str, int, int, str]]) -> dict[Token, int]:
    """(contract, token) → units, of the items that are tokens."""
    found: dict[Token, int] = {}
    for kind, contract, token, amount, *_ in items:
        if kind >= _FIRST_TOKEN_TYPE:
            found[contract, token] = found.get((contract, token), 0) + amount
    return found


def _currencies(
    items: Iterable[tuple[int, str, int, int] | tuple[int, str, int, int, str]],
) -> dict[str, int]:
    """Currency → amount, of all items that are money."""
    found: dict[str, int] = {}
    for kind, contract, _, amount, *_ in items:
        if kind < _FIRST_TOKEN_TYPE:
            currency = NATIVE if kind == 0 else contract
            found[currency] = found.get(currency, 0) + amount
    return found


def _receivers(order: Order) -> dict[Token, str]:
    return {
        (contract, token): account
        for kind, contract, token, _, account in order.consideration
        if kind >= _FIRST_TOKEN_TYPE
    }


def _account(address: str) -> str | None:
    return None if address == NATIVE else address
