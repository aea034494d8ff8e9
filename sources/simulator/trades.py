"""The trades of one day with buyers and sellers: sales, bundles, wash round trips and gifts.

Here: putting a day's trades together so that every seller owns what is sold. Not here: which tokens sell
and at what price (`sources.simulator.market`). Times are microseconds since the start of the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sources.simulator.config import DAY_US, SimulatorConfig, fault_generator
from sources.simulator.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SIDES = ("listing_filled", "bid_accepted", "auction", "private")
LISTING, BID, AUCTION, PRIVATE = range(4)


@dataclass
class Trades:
    """Movements of tokens on one day, sorted by token and time; `is_sale` marks those with a price.

    Attributes:
        collection, token, time, tx: Collection, token position, time in us, transaction number of the day.
        n_in_tx: Sales in the transaction.
        log_price: ln ETH.
        side: Index into SIDES.
        buyer, seller: Wallets.
        is_sale, is_wash: Flags.
    """

    collection: Ints
    token: Ints
    time: Ints
    tx: Ints
    n_in_tx: Ints
    log_price: Floats
    side: Ints
    buyer: Ints
    seller: Ints
    is_sale: npt.NDArray[np.bool_]
    is_wash: npt.NDArray[np.bool_]


def wallets(config: SimulatorConfig) -> int:
    """Number of wallets in the market."""
    return int(np.clip(60 * config.collections, 3000, 200_000))


def in_order(trades: Trades) -> Trades:
    """The trades as they happened; equal times by token."""
    order = np.lexsort((trades.token, trades.tx, trades.time))
    return Trades(**{name: column[order] for name, column in vars(trades).items()})


class Drafts:
    """Trades while they are put together: columns that grow, then are settled in one order."""

    def __init__(self, collection: Ints, token: Ints, time: Ints, log_price: Floats, side: Ints) -> None:
        n = len(token)
        self.columns: dict[str, list[np.ndarray]] = {
            "collection": [collection],
            "token": [token],
            "time": [time],
            "tx": [np.arange(n)],
            "n_in_tx": [np.ones(n, np.int64)],
            "log_price": [log_price],
            "side": [side.astype(np.int64)],
            "is_sale": [np.ones(n, bool)],
            "is_wash": [np.zeros(n, bool)],
            "returns": [np.zeros(n, bool)],
        }
        self.n_base = n
        self.next_tx = n

    def _add(self, **columns: np.ndarray | float) -> None:
        n = np.size(columns["token"])
        for name, usual in {"n_in_tx": 1, "is_sale": True, "is_wash": False, "returns": False}.items():
            columns.setdefault(name, usual)
        for name, parts in self.columns.items():
            value = columns[name]
            parts.append(value if isinstance(value, np.ndarray) else np.full(n, value, parts[0].dtype))

    def add_bundles(
        self,
        config: SimulatorConfig,
        universe: Universe,
        effect: npt.NDArray[np.float32],
        level: Floats,
        rng: np.random.Generator,
    ) -> None:
        """Some sales become bundles: more tokens in the transaction, each at the same share of the price."""
        size = np.where(
            rng.random(self.n_base) < config.calibration.bundle_share, 1 + rng.poisson(1.2, self.n_base), 0
        )
        head = np.repeat(np.arange(self.n_base), size)
        if not len(head):
            return
        where = self.columns["collection"][0][head]
        token = universe.offsets[where] + (rng.random(len(head)) * universe.sizes[where]).astype(np.int64)
        # The same token twice in one bundle is no bundle.
        pair = np.stack([head, token], axis=1)
        _, first = np.unique(pair, axis=0, return_index=True)
        keep = np.zeros(len(head), bool)
        keep[first] = True
        keep &= token != self.columns["token"][0][head]
        head, token, where = head[keep], token[keep], where[keep]
        count = np.bincount(head, minlength=self.n_base) + 1
        worth = np.bincount(head, np.exp(level[head] + effect[token]), minlength=self.n_base)
        base = self.columns["log_price"][0]
        base[:] = np.where(count > 1, np.log((np.exp(base) + worth) / count), base)
        self.columns["n_in_tx"][0][:] = count
        self._add(
            collection=where,
            token=token,
            time=self.columns["time"][0][head],
            tx=head,
            n_in_tx=count[head],
            log_price=base[head],
            side=self.columns["side"][0][head],
        )

    def add_wash(
        self, config: SimulatorConfig, universe: Universe, day: int, rng: np.random.Generator
    ) -> None:
        """Some sales go back and forth between wallets at a price of their choosing.

        A round trip is the sale and one back to its seller. In a wash storm a sale is the first of several.
        """
        where = self.columns["collection"][0]
        rate = np.minimum(config.calibration.wash_share * universe.wash, 0.2)
        trips = (rng.random(self.n_base) < rate[where]).astype(np.int64)
        for fault in config.active("wash_storm", day):
            struck = (np.arange(config.collections) + fault.day) % 10 == 0
            storm = fault_generator(config, fault, 0).poisson(fault.magnitude, self.n_base)
            trips = np.where(struck[where], storm, trips)
        first = np.flatnonzero((trips > 0) & (self.columns["n_in_tx"][0] == 1))
        if not len(first):
            return
        self.columns["is_wash"][0][first] = True
        self.columns["log_price"][0][first] += np.abs(rng.normal(0.25, 0.4, len(first)))
        self.columns["side"][0][first] = LISTING
        # The legs after the first sale: 1 goes back, 2 out again, 3 back, ... evenly spaced, within the day.
        legs = 2 * trips[first] - 1
        head = np.repeat(first, legs)
        leg = np.arange(len(head)) - np.repeat(np.cumsum(legs) - legs, legs) + 1
        time = self.columns["time"][0][first]
        gap = (rng.exponential(3600e6, len(first))).astype(np.int64) + 12_000_000
        gap = np.minimum(gap, (DAY_US - 1 - time) // (legs + 1))
        self._add(
            collection=where[head],
            token=self.columns["token"][0][head],
            time=np.repeat(time, legs) + leg * np.repeat(gap, legs),
            tx=self.next_tx + np.arange(len(head)),
            log_price=self.columns["log_price"][0][head] + rng.normal(0.0, 0.03, len(head)),
            side=LISTING,
            is_wash=True,
            returns=leg % 2 == 1,
        )
        self.next_tx += len(head)

    def add_gifts(self, config: SimulatorConfig, universe: Universe, rng: np.random.Generator) -> None:
        """Tokens that change hands without a sale."""
        chosen = rng.random(self.n_base) < config.calibration.gift_share
        where = self.columns["collection"][0][chosen]
        token = universe.offsets[where] + (rng.random(len(where)) * universe.sizes[where]).astype(np.int64)
        self._add(
            collection=where,
            token=token,
            time=rng.integers(0, DAY_US, len(where)),
            tx=self.next_tx + np.arange(len(where)),
            log_price=np.nan,
            side=PRIVATE,
            is_sale=False,
        )
        self.next_tx += len(where)

    def settled(
        self, config: SimulatorConfig, owner: npt.NDArray[np.int32], day: int, rng: np.random.Generator
    ) -> Trades:
        """All drafts with buyers and sellers, so that every seller owns what is sold."""
        flat = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        order = np.lexsort((flat["tx"], flat["time"], flat["token"]))
        flat = {name: column[order] for name, column in flat.items()}
        n, token = len(order), flat["token"]
        # A few wallets trade much, most little. One buyer per transaction.
        draw = rng.random(self.next_tx)
        buyer = (wallets(config) * draw**1.5).astype(np.int64)[flat["tx"]]
        follows = np.append(False, token[1:] == token[:-1]) if n else np.zeros(0, bool)

        def sellers() -> Ints:
            return np.where(follows, np.append(-1, buyer[:-1]), owner[token]) if n else buyer

        # The receiver of a leg depends on the legs before it, so they are processed in order.
        back = np.flatnonzero(flat.pop("returns") & follows)
        while len(back) and bool((buyer[back] != (returned := sellers()[back - 1])).any()):
            buyer[back] = returned
        met = buyer == sellers()
        buyer[met] = (buyer[met] + 1) % wallets(config)
        selfish = (
            flat["is_sale"] & (flat["n_in_tx"] == 1) & (rng.random(n) < config.calibration.self_trade_share)
        )
        buyer[selfish] = sellers()[selfish]
        flat["time"] = flat["time"] + day * DAY_US
        return Trades(buyer=buyer, seller=sellers(), **flat)
