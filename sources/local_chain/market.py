"""A small market on a node, and what was traded: Seaport 1.6 at its mainnet address, WETH, collections of both kinds.

Orders are validated by their maker on chain, so nothing has to be signed. Marketplaces whose bytecode is not published
by npm are replayed: the token is moved for real and their log is emitted at their address, in one transaction.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi import encode

from sources.ethereum.decoders import seaport
from sources.ethereum.decoders.seaport import ADDRESSES, FEE_RECIPIENTS
from sources.ethereum.log import Log
from sources.local_chain.assembly import CALLER, REPLAYER
from sources.local_chain.node import CALLER_ADDRESS, Node, call_data, emission, one_call

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
    """Native money, in wei."""
    return (0, NOWHERE, 0, amount)


def weth(amount: int) -> Item:
    """WETH, in wei."""
    return (1, WETH, 0, amount)


_NAME = "Test721"
"""Name of the published collection."""


@dataclass
class Market:
    """The market.

    Attributes:
        node: Where it is.
        names: Names of its ERC-721 collections, seven letters each.
        sold: (contract, token, quantity, price of all units in wei, currency, side, seller, buyer) of each priced sale.
        by_venue: Priced sales by marketplace.
        collections: Name → address of the ERC-721 collections.
    """

    node: Node
    names: Sequence[str] = (_NAME,)
    sold: list[tuple[Any, ...]] = field(default_factory=list)
    by_venue: Counter[str] = field(default_factory=Counter)
    salts: itertools.count[int] = field(default_factory=itertools.count)
    _replayers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Deploy the contracts; every account lets the marketplaces move its tokens and has 1,000 WETH."""
        node, bytecode = self.node, self.node.packages.bytecode
        controller = node.deploy(bytecode("LocalConduitController"))
        exchange = node.deploy(bytecode("Seaport"), encode(["address"], [controller]))
        node.put_code(SEAPORT, node.call("eth_getCode", exchange, "latest"))
        node.put_code(WETH, node.call("eth_getCode", node.deploy(bytecode("TestERC20")), "latest"))
        node.put_code(CALLER_ADDRESS, CALLER)
        published = bytecode("TestERC721")
        self.collections = {
            name: node.deploy(published.replace(_NAME.encode().hex(), name.encode().hex()))
            for name in self.names
        }
        self.art = next(iter(self.collections.values()))
        self.cards = node.deploy(bytecode("TestERC1155"))
        allowed = [
            (account, contract, call_data("setApprovalForAll(address,bool)", operator, True))
            for account in node.accounts
            for contract in (*self.collections.values(), self.cards)
            for operator in (SEAPORT, CALLER_ADDRESS)
        ]
        money = [
            (account, WETH, data)
            for account in node.accounts
            for data in (
                call_data("approve(address,uint256)", SEAPORT, 2**255),
                call_data("mint(address,uint256)", account, 1000 * ETH),
            )
        ]
        node.send_many([*allowed, *money])

    def token(self, identifier: int, contract: str | None = None) -> Item:
        """A token of a collection; default: of the first one."""
        return (2, contract or self.art, identifier, 1)

    def card(self, identifier: int, amount: int) -> Item:
        """Units of an ERC-1155 token."""
        return (3, self.cards, identifier, amount)

    def mint(self, owners: Sequence[str], identifiers: Sequence[int], contract: str | None = None) -> None:
        """Create tokens of a collection, each for its owner; default: of the first collection."""
        to = contract or self.art
        self.node.send_many(
            [
                (owner, to, call_data("mint(address,uint256)", owner, number))
                for owner, number in zip(owners, identifiers, strict=True)
            ]
        )

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
        """Fill an order."""
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

    def replay(
        self, venue: str, logs: Sequence[Log], item: Item, price: int, currency: str, seller: str, buyer: str
    ) -> dict[str, Any]:
        """A listing that is bought elsewhere: the token moves, and the logs are emitted at their addresses."""
        for address in {log.address for log in logs} - self._replayers:
            self.node.put_code(address, REPLAYER)
            self._replayers.add(address)
        receipt = self.node.send(buyer, CALLER_ADDRESS, self.replayed(logs, item, seller, buyer))
        self.note(item, price, currency, "listing_filled", seller, buyer, venue)
        return receipt

    def replayed(self, logs: Sequence[Log], item: Item, seller: str, buyer: str) -> bytes:
        """The input of the transaction of `replay`. A contract that is itself replayed moves no token."""
        if item[1] in self._replayers:
            return emission(logs)
        move = call_data("transferFrom(address,address,uint256)", seller, buyer, item[2])
        return one_call(item[1], move) + emission(logs)

    def note(
        self,
        item: Item,
        price: int,
        currency: str,
        side: str | None,
        seller: str,
        buyer: str,
        venue: str = seaport.NAME,
    ) -> None:
        """Keep what was sold."""
        _, contract, identifier, amount = item
        self.sold.append((contract, str(identifier), amount, price, currency, side, seller, buyer))
        self.by_venue[venue] += 1

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
