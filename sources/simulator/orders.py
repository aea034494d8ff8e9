"""Asks and bids: which are made, filled, cancelled or run out.

Here: the order book's events of one day. Not here: the trades (`sources.simulator.market`). A filled listing was made
some hours before, at the price it sells for; the orders that stay unfilled are what the book shows. Ask prices follow
the true value with a mark-up: they carry some information about the token's value, with noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sources.simulator.config import DAY_US, SimulatorConfig
from sources.simulator.trades import BID, LISTING, Trades
from sources.simulator.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_CANCEL_DELAY_US = 30_000_000
KINDS = ("created", "cancelled", "filled", "expired")
CREATED, CANCELLED, FILLED, EXPIRED = range(4)
ANY_TOKEN = -1
"""Token of a bid on any token of the collection."""
NO_END = -1


@dataclass
class Orders:
    """Orders or order events, as columns.

    Attributes:
        collection, token: Collection and token position (ANY_TOKEN for collection bids).
        number: Order number, unique over the whole market.
        log_price: ln ETH.
        is_bid: Bid or ask.
        maker: Wallet.
        valid_until: When it ends by itself, us, NO_END if never.
        time: For a live order when it will end; for an event when it happens. us.
        kind: For a live order how it will end; for an event what happens (index into KINDS).
    """

    collection: Ints
    token: Ints
    number: Ints
    log_price: Floats
    is_bid: npt.NDArray[np.bool_]
    maker: Ints
    valid_until: Ints
    time: Ints
    kind: Ints

    @classmethod
    def none(cls) -> Orders:
        """No orders."""
        whole = np.zeros(0, np.int64)
        return cls(whole, whole, whole, np.zeros(0), np.zeros(0, bool), whole, whole, whole, whole)

    def __len__(self) -> int:
        return len(self.token)

    def pick(self, chosen: npt.NDArray) -> Orders:
        """The chosen ones (mask or positions)."""
        return Orders(**{name: column[chosen] for name, column in vars(self).items()})

    def changed(self, **columns: npt.NDArray | int) -> Orders:
        """The same with other columns."""
        new = {k: v if isinstance(v, np.ndarray) else np.full(len(self), v) for k, v in columns.items()}
        return Orders(**(vars(self) | new))


def together(*parts: Orders) -> Orders:
    """All of them, one after the other."""
    return Orders(**{name: np.concatenate([vars(p)[name] for p in parts]) for name in vars(parts[0])})


def order_one_day(
    config: SimulatorConfig,
    universe: Universe,
    effect: npt.NDArray[np.float32],
    live: Orders,
    trades: Trades,
    level: Floats,
    owner: npt.NDArray[np.int32],
    day: int,
    rng: np.random.Generator,
) -> tuple[Orders, Orders]:
    """The day's order events, and the orders live at its end.

    Args:
        config: The market's settings.
        universe: Collections and tokens.
        effect: Log premium of each token.
        live: Orders live at the start of the day.
        trades: The day's trades.
        level: Log level of each collection at the start of the day: makers do not know the day's later levels.
        owner: Owner of each token at the day's end.
        day: Day of the simulation.
        rng: The day's random numbers for orders.

    Returns:
        Events (by time) and live orders.
    """
    end = (day + 1) * DAY_US
    # Tokens that changed hands: asks of their earlier owners are no longer valid.
    moved, first = np.unique(trades.token[::-1], return_index=True)
    last_move = trades.time[::-1][first]
    at = np.searchsorted(moved, live.token)
    at_known = np.minimum(at, max(len(moved) - 1, 0))
    gone = (live.token == moved[at_known]) & ~live.is_bid if len(moved) else np.zeros(len(live), bool)
    ended = (live.time < end) & ~gone
    withdrawn = live.pick(gone)
    if len(withdrawn):
        withdrawn = withdrawn.changed(time=last_move[at_known[gone]] + _CANCEL_DELAY_US, kind=CANCELLED)
    new = _standing(config, universe, effect, trades, level, owner, day, rng)
    new = new.pick(new.is_bid | ~np.isin(new.token, moved))
    short = new.time < end
    events = [live.pick(ended), withdrawn, new.changed(time=_made_at(new, day, rng), kind=CREATED)]
    events += [new.pick(short), *_filled(trades, day, rng, first_number=_number(day, 5_000_000))]
    happened = together(*events)
    order = np.lexsort((happened.kind, happened.number, happened.time))
    return happened.pick(order), together(live.pick(~gone & ~ended), new.pick(~short))


def _number(day: int, index: int) -> int:
    return (day + 1) * 10_000_000 + index


def _made_at(new: Orders, day: int, rng: np.random.Generator) -> Ints:
    """A moment of the day before the order ends."""
    latest = np.minimum(new.time, (day + 1) * DAY_US) - day * DAY_US
    return day * DAY_US + (rng.random(len(new)) * latest).astype(np.int64)


def _standing(
    config: SimulatorConfig,
    universe: Universe,
    effect: npt.NDArray[np.float32],
    trades: Trades,
    level: Floats,
    owner: npt.NDArray[np.int32],
    day: int,
    rng: np.random.Generator,
) -> Orders:
    """New orders that will not be filled: asks above the value, bids below the floor."""
    c = config.calibration
    sales = np.flatnonzero(trades.is_sale)
    total = (
        rng.poisson([c.standing_asks * len(sales), c.standing_bids * len(sales)]) if len(sales) else (0, 0)
    )
    n = int(total[0] + total[1])
    if n == 0:
        return Orders.none()
    is_bid = np.arange(n) >= total[0]
    where = trades.collection[sales[rng.integers(0, len(sales), n)]]
    token = universe.offsets[where] + (rng.random(n) * universe.sizes[where]).astype(np.int64)
    ask = level[where] + 0.93 * effect[token] + rng.normal(0.18, 0.15, n)
    on_token = rng.random(n) < 0.2
    low = np.where(on_token, effect[token], universe.floor_effect[where])
    bid = level[where] + low - 0.08 - np.abs(rng.normal(0.0, 0.2, n))
    midnight = (day + 1) * DAY_US
    valid = midnight + np.array([1, 7, 14, 30])[rng.integers(0, 4, n)] * DAY_US - rng.integers(0, DAY_US, n)
    cancel = midnight + (rng.exponential(5.0, n) * DAY_US).astype(np.int64) - DAY_US // 2
    cancelled = (rng.random(n) < 0.4) & (cancel < valid)
    return Orders(
        collection=where,
        token=np.where(is_bid & ~on_token, ANY_TOKEN, token),
        number=_number(day, 0) + np.arange(n),
        log_price=np.where(is_bid, bid, ask),
        is_bid=is_bid,
        maker=np.where(is_bid, rng.integers(0, owner.max() + 1, n), owner[token]).astype(np.int64),
        valid_until=valid,
        time=np.where(cancelled, cancel, valid),
        kind=np.where(cancelled, CANCELLED, EXPIRED),
    )


def _filled(trades: Trades, day: int, rng: np.random.Generator, first_number: int) -> tuple[Orders, Orders]:
    """The orders behind the day's sales: made within the day, filled by the sale."""
    chosen = np.flatnonzero(
        trades.is_sale & ((trades.side == LISTING) | (trades.side == BID)) & (trades.n_in_tx == 1)
    )
    n = len(chosen)
    time = trades.time[chosen]
    age = np.exp(rng.normal(np.log(2 * 3600e6), 1.5, n))
    start = np.maximum(time - age.astype(np.int64), day * DAY_US + (rng.random(n) * 1e6).astype(np.int64))
    is_bid = trades.side[chosen] == BID
    orders = Orders(
        collection=trades.collection[chosen],
        token=np.where(is_bid & (rng.random(n) < 0.7), ANY_TOKEN, trades.token[chosen]),
        number=first_number + np.arange(n),
        log_price=trades.log_price[chosen],
        is_bid=is_bid,
        maker=np.where(is_bid, trades.buyer[chosen], trades.seller[chosen]),
        valid_until=np.full(n, NO_END),
        time=np.minimum(start, time),
        kind=np.full(n, CREATED),
    )
    return orders, orders.changed(time=time, kind=FILLED)
