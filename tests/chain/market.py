"""A small market on a node: Seaport 1.6 at its mainnet address, two collections, WETH; and what was traded.

Orders are validated by their maker on chain, so nothing has to be signed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi import encode

from sources.ethereum.decoders.seaport import ADDRESSES, FEE_RECIPIENTS
from tests.chain.node import Node, bytecode

SEAPORT = ADDRESSES[-1]
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
FEES = min(FEE_RECIPIENTS)
NOWHERE = "0x" + "0" * 40
ETH = 10**18

_ORDER = (
    "((address,address,(uint8,address,uint256,uint256,uint256)[],(uint8,address,uint256,uint256,uint256,address)[],"
    "uint8,uint256,uint256,bytes32,uint256,bytes32,uint256),bytes)"
)
Item = tuple[int, str, int, int]
"""(type, contract, identifier, amount)."""


def coin(amount: int) -> Item:
    return (0, NOWHERE, 0, amount)


def weth(amount: int) -> Item:
    return (1, WETH, 0, amount)


@dataclass
class Market:
    """The market; `sold` has (contract, token, quantity, price of all units in wei, currency, side, seller, buyer)."""

    node: Node
    sold: list[tuple[Any, ...]] = field(default_factory=list)
    salts: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        node = self.node
        controller = node.deploy(bytecode("LocalConduitController"))
        exchange = node.deploy(bytecode("Seaport"), encode(["address"], [controller]))
        node.put_code(SEAPORT, node.call("eth_getCode", exchange, "latest"))
        node.put_code(WETH, node.call("eth_getCode", node.deploy(bytecode("TestERC20")), "latest"))
        self.art = node.deploy(bytecode("TestERC721"))
        self.cards = node.deploy(bytecode("TestERC1155"))
        for account in node.accounts:
            for contract in (self.art, self.cards):
                node.invoke(account, contract, "setApprovalForAll(address,bool)", SEAPORT, True)
            node.invoke(account, WETH, "approve(address,uint256)", SEAPORT, 2**255)
            node.invoke(node.accounts[0], WETH, "mint(address,uint256)", account, 1000 * ETH)

    def token(self, identifier: int) -> Item:
        return (2, self.art, identifier, 1)

    def card(self, identifier: int, amount: int) -> Item:
        return (3, self.cards, identifier, amount)

    def mint(self, owner: str, *identifiers: int) -> None:
        for identifier in identifiers:
            self.node.invoke(owner, self.art, "mint(address,uint256)", owner, identifier)

    def order(
        self, maker: str, offer: Sequence[Item], asked: Sequence[tuple[Item, str]], *, known: bool = True
    ) -> tuple[Any, ...]:
        """An order that its maker has validated on chain."""
        parameters = (
            maker, NOWHERE,
            [(kind, contract, number, amount, amount) for kind, contract, number, amount in offer],
            [(kind, contract, number, amount, amount, to) for (kind, contract, number, amount), to in asked],
            0, 0, 2**40, b"\0" * 32, next(self.salts), b"\0" * 32, len(asked),
        )  # fmt: skip
        order = (parameters, b"")
        if known:
            self.node.invoke(maker, SEAPORT, f"validate({_ORDER}[])", [order])
        return order

    def fulfil(self, taker: str, order: tuple[Any, ...], value: int = 0) -> dict[str, Any]:
        return self.node.invoke(
            taker, SEAPORT, f"fulfillOrder({_ORDER},bytes32)", order, b"\0" * 32, value=value
        )

    def buy(self, seller: str, buyer: str, item: Item, price: int) -> None:
        """A listing with a fee of 2.5 % and a royalty of 5 % is bought."""
        fee, royalty = price // 40, price // 20
        parts = [
            (coin(price - fee - royalty), seller),
            (coin(fee), FEES),
            (coin(royalty), self.node.accounts[9]),
        ]
        self.fulfil(buyer, self.order(seller, [item], parts), price)
        self.note(item, price, "ETH", "listing_filled", seller, buyer)

    def accept(self, seller: str, bidder: str, item: Item, price: int) -> None:
        """A bid in WETH is accepted; the fee is paid from it."""
        order = self.order(bidder, [weth(price)], [(item, bidder), (weth(price // 40), FEES)])
        self.fulfil(seller, order)
        self.note(item, price, "WETH", "bid_accepted", seller, bidder)

    def sell_privately(self, seller: str, buyer: str, item: Item, price: int) -> None:
        """An order that only one account can fill with profit: the token is promised to it."""
        self.node.call("anvil_setBalance", self.node.accounts[8], hex(10_000 * ETH))
        order = self.order(seller, [item], [(coin(price), seller), (item, buyer)])
        mirror = self.order(buyer, [coin(price)], [], known=False)
        self._match(buyer, [order, mirror], [((0, 0), (0, 1)), ((1, 0), (0, 0))], price)
        self.note(item, price, "ETH", "private", seller, buyer)

    def match(self, seller: str, bidder: str, item: Item, price: int) -> None:
        """A bid and a listing meet in `matchOrders`: one sale that is logged twice."""
        bid = self.order(bidder, [weth(price)], [(item, bidder), (weth(price // 40), FEES)])
        ask = self.order(seller, [item], [(weth(price - price // 40), seller)])
        pairs = [((1, 0), (0, 0)), ((0, 0), (1, 0)), ((0, 0), (0, 1))]
        self._match(self.node.accounts[7], [bid, ask], pairs)
        self.note(item, price, "WETH", None, seller, bidder)

    def sweep(self, buyer: str, lots: Sequence[tuple[str, Item, int]]) -> None:
        """Several listings are bought in one transaction."""
        orders = [self.order(seller, [item], [(coin(price), seller)]) for seller, item, price in lots]
        one_by_one = [[(n, 0)] for n in range(len(orders))]
        self.node.invoke(
            buyer,
            SEAPORT,
            f"fulfillAvailableOrders({_ORDER}[],(uint256,uint256)[][],(uint256,uint256)[][],bytes32,uint256)",
            orders,
            one_by_one,
            one_by_one,
            b"\0" * 32,
            len(orders),
            value=sum(price for _, _, price in lots),
        )
        for seller, item, price in lots:
            self.note(item, price, "ETH", "listing_filled", seller, buyer)

    def note(
        self, item: Item, price: int | None, currency: str, side: str | None, seller: str, buyer: str
    ) -> None:
        _, contract, identifier, amount = item
        self.sold.append((contract, str(identifier), amount, price, currency, side, seller, buyer))

    def _match(
        self, sender: str, orders: Sequence[Any], pairs: Sequence[tuple[Any, Any]], value: int = 0
    ) -> None:
        fulfilments = [([offer], [consideration]) for offer, consideration in pairs]
        self.node.invoke(
            sender,
            SEAPORT,
            f"matchOrders({_ORDER}[],((uint256,uint256)[],(uint256,uint256)[])[])",
            orders,
            fulfilments,
            value=value,
        )
