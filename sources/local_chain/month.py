"""A month of a small market on a local chain: who sells what to whom, where, when and for how much.

Here: the trades of each day, sweeps, bundles, bids, a reorganisation. Not here: how an order is filled
(`sources.local_chain.market`), what contracts say of themselves (`sources.local_chain.facts`). Everything follows from
a seed and the time of the first day.

A price is the level of the collection, which drifts, times a factor of each trait, times noise of 6 %.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sources.ethereum.decoders import blur, cryptopunks, looksrare, movements, x2y2
from sources.ethereum.log import Log
from sources.local_chain.facts import log_rate, put_traits
from sources.local_chain.logs import NOWHERE, inventory, packed_sale, punk, taker_bid
from sources.local_chain.market import ETH, Item, Market, coin
from sources.local_chain.node import CALLER_ADDRESS, Node, emission

DAYS = 30
ACCOUNTS = 40
DAY_S = 86_400
REPLACED = 3
"""Blocks that the reorganisation replaces, each with one sale."""

EPOCH = 8
"""Slots in an epoch of the chain (`--slots-in-an-epoch`)."""

FINAL_AFTER = 2 * EPOCH
"""Blocks after which a block is final."""

TRAITS = {
    "Background": {"Sand": 1.0, "Sea": 1.05, "Night": 1.15, "Gold": 1.6},
    "Shape": {"Round": 1.0, "Square": 1.1, "Star": 1.45},
    "Light": {"None": 1.0, "Dim": 1.1, "Bright": 1.3},
}
"""Type of trait → value → factor of the price."""

_NOISE = 0.06


@dataclass(frozen=True)
class Collection:
    """A collection of the market.

    Attributes:
        name: Its name; seven letters where it is deployed.
        level: Price of a plain token on the first day, in ether.
        share: Share of the sales.
        tokens: How many there are.
        month: Factor of the level over the month.
    """

    name: str
    level: float
    share: float
    tokens: int
    month: float


DEPLOYED = (
    Collection("Beacons", 0.8, 0.45, 120, 1.3),
    Collection("Orchids", 0.15, 0.25, 80, 0.8),
    Collection("Lantern", 2.5, 0.15, 60, 1.1),
)
PUNKS = Collection("CryptoPunks", 20.0, 0.15, 60, 0.95)
COLLECTIONS = (*DEPLOYED, PUNKS)

_VENUES = {
    # name: (logs of a sale, its currency, share of the sales that are not on CryptoPunks)
    blur.NAME: (packed_sale, "ETH", 0.15),
    looksrare.NAME: (taker_bid, "WETH", 0.10),
    x2y2.NAME: (
        lambda c, t, p, s, b: inventory(1, contract=c, token=t, price=p, maker=s, taker=b),
        "WETH",
        0.15,
    ),
}


@dataclass(frozen=True)
class Agreed:
    """A sale that two accounts agreed on; price in wei."""

    collection: Collection
    contract: str
    token: int
    price: int
    seller: str
    buyer: str

    @property
    def item(self) -> Item:
        """What is sold."""
        return (2, self.contract, self.token, 1)


class Month:
    """The market as it goes on: `trade` is called once for each stretch of days.

    Attributes:
        market: What was traded.
        contracts: Name → address of the collections.
        traits: (contract, token) → its traits.
        bundled: Tokens that were sold in bundles, which have no price of their own.
    """

    def __init__(self, node: Node, sales: int, first_day: int, seed: int = 7) -> None:
        """Deploy the collections and give each token to somebody, on the day before the first.

        Args:
            node: A node with `ACCOUNTS` accounts.
            sales: Sales of the month, about.
            first_day: Unix seconds at which the first day begins.
            seed: Everything else follows from it.
        """
        self.node = node
        self.first_day = first_day
        self.bundled = 0
        self.traits: dict[tuple[str, int], dict[str, str]] = {}
        self._random = random.Random(seed)
        self._per_day = sales / DAYS
        self._owners: dict[tuple[str, int], str] = {}
        node.at_time(first_day - DAY_S)
        self.market = Market(node, [c.name for c in DEPLOYED])
        self.contracts = {**self.market.collections, PUNKS.name: cryptopunks.ADDRESS}
        for one in COLLECTIONS:
            self._give_out(one)

    @property
    def richest(self) -> str:
        """The account with the most tokens."""
        owners = sorted(self._owners.values())
        return max(dict.fromkeys(owners), key=owners.count)

    def value(self, name: str, token: int, day: int = DAYS) -> float:
        """What the market is made with: the price of a token on a day, without noise, in ether."""
        return self._value(next(one for one in COLLECTIONS if one.name == name), token, day)

    def trade(self, first: int, until: int) -> None:
        """The trades of days `first` to `until` - 1, counted from 0."""
        shares = [one.share for one in COLLECTIONS]
        for day in range(first, until):
            self.node.at_time(self.first_day + day * DAY_S + 60)
            log_rate(
                self.node, 3_000 * math.exp(0.1 * math.sin(day / 4)), day + 1, self.first_day + day * DAY_S
            )
            count = int((day + 1) * self._per_day) - int(day * self._per_day)
            for number in range(count):
                self.node.at_time(self.first_day + day * DAY_S + int((number + 0.5) / count * DAY_S * 0.9))
                self._one_sale(self._agreed(self._random.choices(COLLECTIONS, shares)[0], day))
            self.node.at_time(self.first_day + (day + 1) * DAY_S - 3_600)
            if day % 10 == 4:
                self._sweep([self._agreed(DEPLOYED[0], day) for _ in range(2)])
            if day % 10 == 6:
                self._bundle(self._agreed(DEPLOYED[1], day))
        self.node.at_time(self.first_day + until * DAY_S)
        self.node.mine(FINAL_AFTER + 2, 1)

    def trade_what_is_replaced(self, day: int) -> Callable[[], None]:
        """One sale at each venue that is replayed, in the newest blocks; returns what reorganises these blocks.

        In the new blocks the first sale is in a later block, the second never took place, the third has another price.
        """
        agreed = [self._agreed(one, day) for one in DEPLOYED]
        buyers = iter(
            self._random.sample([a for a in self.node.accounts if a not in {s.seller for s in agreed}], 3)
        )
        sales = [Agreed(s.collection, s.contract, s.token, s.price, s.seller, next(buyers)) for s in agreed]
        sent = [self._elsewhere(sale, venue) for sale, venue in zip(sales, _VENUES, strict=True)]
        moved = self.node.call("eth_getRawTransactionByHash", sent[0]["transactionHash"])
        nonce = self.node.call("eth_getTransactionByHash", sent[2]["transactionHash"])["nonce"]

        def reorganise() -> None:
            _, dropped, dear = sales
            venue, price = list(_VENUES)[2], dear.price * 3 // 4
            logs = [_VENUES[venue][0](dear.contract, dear.token, price, dear.seller, dear.buyer)]
            cheaper = {
                "from": dear.buyer,
                "to": CALLER_ADDRESS,
                "nonce": nonce,
                "gas": hex(3_000_000),
                "data": "0x" + self.market.replayed(logs, dear.item, dear.seller, dear.buyer).hex(),
            }
            self.node.call("anvil_reorg", REPLACED, [[cheaper, 0], [moved, REPLACED - 1]])
            self._owners[dropped.contract, dropped.token] = dropped.seller
            self._forget(dropped, list(_VENUES)[1])
            self._forget(dear, venue)
            self.market.note(
                dear.item, price, _VENUES[venue][1], "listing_filled", dear.seller, dear.buyer, venue
            )

        return reorganise

    def _give_out(self, one: Collection) -> None:
        contract = self.contracts[one.name]
        assigned: list[Log] = []
        for token in range(one.tokens):
            owner = self._random.choice(self.node.accounts)
            self._owners[contract, token] = owner
            assigned.append(punk(cryptopunks.ASSIGN, (owner,), token))
            self.traits[contract, token] = {
                name: self._random.choices(list(values), [1 / factor**3 for factor in values.values()])[0]
                for name, values in TRAITS.items()
            }
        put_traits(self.node, contract, {token: self.traits[contract, token] for token in range(one.tokens)})
        if one is PUNKS:
            self.node.emit(assigned)
        else:
            owners = [self._owners[contract, token] for token in range(one.tokens)]
            self.market.mint(owners, range(one.tokens), contract=contract)

    def _agreed(self, one: Collection, day: int) -> Agreed:
        contract = self.contracts[one.name]
        token = self._random.randrange(one.tokens)
        seller = self._owners[contract, token]
        buyer = self._random.choice([account for account in self.node.accounts if account != seller])
        price = self._value(one, token, day) * self._random.lognormvariate(0, _NOISE)
        return Agreed(one, contract, token, int(price * ETH), seller, buyer)

    def _value(self, one: Collection, token: int, day: int) -> float:
        value = one.level * one.month ** (day / DAYS)
        for name, trait in self.traits[self.contracts[one.name], token].items():
            value *= TRAITS[name][trait]
        return value

    def _one_sale(self, sale: Agreed) -> None:
        if sale.collection is PUNKS:
            self._punk(sale)
        else:
            replayed = {name: share for name, (_, _, share) in _VENUES.items()}
            kinds = {"listing": 0.45, "bid": 0.15, **replayed}
            kind = self._random.choices(list(kinds), list(kinds.values()))[0]
            if kind in _VENUES:
                self._elsewhere(sale, kind)
                return
            trade = self.market.buy if kind == "listing" else self.market.accept
            trade(sale.seller, sale.buyer, sale.item, sale.price)
        self._owners[sale.contract, sale.token] = sale.buyer

    def _elsewhere(self, sale: Agreed, venue: str) -> dict[str, Any]:
        make, currency, _ = _VENUES[venue]
        log = make(sale.contract, sale.token, sale.price, sale.seller, sale.buyer)
        self._owners[sale.contract, sale.token] = sale.buyer
        return self.market.replay(venue, [log], sale.item, sale.price, currency, sale.seller, sale.buyer)

    def _punk(self, sale: Agreed) -> None:
        """A listing is bought, or a bid of a transaction before is accepted, which the contract logs without price."""
        receiver, value = sale.buyer, sale.price
        if self._random.random() < 0.25:
            bid = punk(cryptopunks.BID_ENTERED, (sale.token, sale.buyer), sale.price)
            self.node.send(sale.buyer, CALLER_ADDRESS, emission([bid]))
            receiver, value = NOWHERE, 0
        logs = [
            punk(movements.TRANSFER, (sale.seller, sale.buyer), 1),
            punk(cryptopunks.BOUGHT, (sale.token, sale.seller, receiver), value),
        ]
        self.market.replay(cryptopunks.NAME, logs, sale.item, sale.price, "ETH", sale.seller, sale.buyer)

    def _sweep(self, sales: Sequence[Agreed]) -> None:
        """One account buys several listings in one transaction."""
        different = list({sale.token: sale for sale in sales}.values())
        buyer = next(a for a in self.node.accounts if a not in {sale.seller for sale in different})
        self.market.sweep(buyer, [(sale.seller, sale.item, sale.price) for sale in different])
        for sale in different:
            self._owners[sale.contract, sale.token] = buyer

    def _bundle(self, sale: Agreed) -> None:
        """Two tokens of one owner are sold for one price; nothing where the owner has no other."""
        others = [
            token
            for (contract, token), owner in self._owners.items()
            if (contract, owner) == (sale.contract, sale.seller) and token != sale.token
        ]
        if not others:
            return
        pair = [sale.item, (2, sale.contract, others[0], 1)]
        price = 2 * sale.price
        order = self.market.order(sale.seller, pair, [(coin(price), sale.seller)])
        self.market.fulfil(sale.buyer, order, price)
        for _, contract, token, _ in pair:
            self._owners[contract, token] = sale.buyer
        self.bundled += len(pair)

    def _forget(self, sale: Agreed, venue: str) -> None:
        """A sale that did not take place."""
        currency = _VENUES[venue][1]
        key = (
            sale.contract,
            str(sale.token),
            1,
            sale.price,
            currency,
            "listing_filled",
            sale.seller,
            sale.buyer,
        )
        self.market.sold.remove(key)
        self.market.by_venue[venue] -= 1
