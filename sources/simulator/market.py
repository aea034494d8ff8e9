"""The market's course: its state at midnight and the trades of one day.

Here: levels, which tokens sell, at what price, who owns them afterwards. Not here: orders (`orders`), raw
rows (`rows`), when rows arrive (`arrivals`). Everything is vectorised over collections; times are
microseconds since the first instant of the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sources.simulator.config import SimulatorConfig
from sources.simulator.identifiers import salted
from sources.simulator.orders import Orders
from sources.simulator.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY_US = 86_400_000_000
RECENT = 16
"""Tokens sold last that each collection remembers (flippers buy and sell these)."""
_CANDIDATES = 6
_WIDEST = 30.0  # Scales: beyond, the t distribution stops describing people.
_STREAM_DAY = 3
SIDES = ("listing_filled", "bid_accepted", "auction", "private")
LISTING, BID, AUCTION, PRIVATE = range(4)


@dataclass
class MarketState:
    """The market at 00:00 of `day`.

    Attributes:
        day: Days passed.
        level: Slow part of each collection's log level (k).
        swing: Part of the log level that moves with trades and fades (k).
        levels: Log levels at each past midnight, this one included (day + 1, k).
        owner: Wallet that owns each token (tokens).
        recent: Positions of the tokens sold last, -1 = none yet (k, RECENT).
        eth_log: ln USD per ETH.
        orders: Live orders.
    """

    day: int
    level: Floats
    swing: Floats
    levels: list[Floats]
    owner: npt.NDArray[np.int32]
    recent: npt.NDArray[np.int32]
    eth_log: float
    orders: Orders


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


def first_state(config: SimulatorConfig, universe: Universe) -> MarketState:
    """The market at the first midnight; every token belongs to whoever mints it."""
    n = config.collections
    minter = salted(config.seed, 21, np.arange(len(universe.effect)) // 4) % np.uint64(wallets(config))
    return MarketState(
        day=0,
        level=universe.level.copy(),
        swing=np.zeros(n),
        levels=[universe.level.copy()],
        owner=minter.astype(np.int32),
        recent=np.full((n, RECENT), -1, np.int32),
        eth_log=float(np.log(3000.0)),
        orders=Orders.none(),
    )


def day_generator(config: SimulatorConfig, day: int, purpose: int) -> np.random.Generator:
    """The random numbers of one day and purpose, whatever was drawn before."""
    return np.random.default_rng([config.seed, _STREAM_DAY, day, purpose])


def trade_one_day(
    config: SimulatorConfig, universe: Universe, effect: npt.NDArray[np.float32], state: MarketState
) -> tuple[Trades, Floats]:
    """Draw the day's trades and move the state to the next midnight (orders excepted).

    Args:
        config: The market's settings.
        universe: Collections and tokens.
        effect: Log premium of each token on this day.
        state: The market at the day's first instant; changed in place.

    Returns:
        The trades, and the change of each collection's slow level over the day.
    """
    rng = day_generator(config, state.day, 0)
    c = config.calibration
    shift = c.market_daily_sd * rng.standard_normal() * universe.beta
    shift += c.own_daily_sd * universe.volatility * rng.standard_t(5, config.collections) / np.sqrt(5 / 3)
    shift -= sum(f.magnitude for f in config.active("crash", state.day))
    pace = _pace(config, universe, state, rng)
    count = rng.poisson(pace)
    where = np.repeat(np.arange(config.collections), count)
    clock = rng.integers(0, DAY_US, len(where))
    order = np.lexsort((clock, where))
    where, clock = where[order], clock[order]
    swing = _swing(config, state, where, count, rng)
    token = _choose_tokens(config, universe, effect, state, where, rng)
    level = state.level[where] + shift[where] * (clock / DAY_US) + swing
    tails = np.clip(rng.standard_t(3, len(where)), -_WIDEST, _WIDEST)
    noise = c.price_noise * universe.noise[where] * tails
    side = np.searchsorted(
        np.cumsum([1 - c.bid_share - c.auction_share - c.private_share, c.bid_share, c.auction_share]),
        rng.random(len(where)),
        side="right",
    )
    noise = np.where(side == BID, noise - 0.04, noise)
    trades = _Drafts(where, token, clock, level + effect[token] + noise, side)
    trades.add_bundles(config, universe, effect, level, rng)
    trades.add_wash(config, universe, state.day, rng)
    trades.add_gifts(config, universe, rng)
    settled = trades.settled(config, state, rng)
    _remember(state, settled)
    last = (
        np.flatnonzero(np.append(settled.token[1:] != settled.token[:-1], True))
        if len(settled.token)
        else settled.token
    )
    state.owner[settled.token[last]] = settled.buyer[last]
    state.level = state.level + shift
    state.day += 1
    state.levels.append(state.level + state.swing)
    return trades_in_order(settled), shift


def trades_in_order(trades: Trades) -> Trades:
    """The trades as they happened; equal times by token."""
    order = np.lexsort((trades.token, trades.tx, trades.time))
    return Trades(**{name: column[order] for name, column in vars(trades).items()})


def _pace(
    config: SimulatorConfig, universe: Universe, state: MarketState, rng: np.random.Generator
) -> Floats:
    """Expected sales per collection today: busy after the launch, and busy by moods."""
    age = state.day - universe.launch_day
    mood = np.exp(rng.normal(-0.32, 0.8, config.collections))
    hype = 0.85 + 4.0 * np.exp(-np.maximum(age, 0) / 10.0)
    return np.where(age > 0, universe.rate * mood * hype, 0.0)


def _swing(
    config: SimulatorConfig, state: MarketState, where: Ints, count: Ints, rng: np.random.Generator
) -> Floats:
    """The level's steps in trade time: an AR(1) over each collection's sales of the day.

    Returns:
        The swing at each sale.
    """
    decay = 0.5 ** (1 / config.calibration.trade_half_life)
    start = np.concatenate([[0], np.cumsum(count)])[:-1]
    position = np.arange(len(where)) - start[where]
    step = config.calibration.trade_step_sd * rng.standard_normal(len(where))
    # x_i = decay^i (x_0 + sum of decay^-j step_j), in blocks so that decay^-j stays a normal number.
    swing = np.empty(len(where))
    previous = state.swing.copy()
    block = 2000
    for low in range(0, int(count.max(initial=0)), block):
        chosen = (position >= low) & (position < low + block)
        inside = position[chosen] - low + 1
        total = np.cumsum(step[chosen] * decay**-inside)
        first = np.flatnonzero(inside == 1)
        before = np.repeat(total[first] - step[chosen][first] / decay, np.diff(np.append(first, len(inside))))
        swing[chosen] = decay**inside * (previous[where[chosen]] + total - before)
        previous[where[chosen]] = swing[chosen]  # The last write of each collection is its last sale.
    state.swing = previous
    return swing


def _choose_tokens(
    config: SimulatorConfig,
    universe: Universe,
    effect: npt.NDArray[np.float32],
    state: MarketState,
    where: Ints,
    rng: np.random.Generator,
) -> Ints:
    """The token of each sale: cheap ones sell more often, and those that sold a moment ago sell again."""
    draws = rng.random((len(where), _CANDIDATES))
    candidates = universe.offsets[where][:, None] + (draws * universe.sizes[where][:, None]).astype(np.int64)
    score = -config.calibration.floor_pull * effect[candidates] + rng.gumbel(size=candidates.shape)
    token = candidates[np.arange(len(where)), score.argmax(axis=1)]
    again = state.recent[where, rng.integers(0, RECENT, len(where))].astype(np.int64)
    flipped = (rng.random(len(where)) < config.calibration.flip_share) & (again >= 0)
    return np.where(flipped, again, token)


def _remember(state: MarketState, trades: Trades) -> None:
    """Put the day's sold tokens into each collection's ring of recent ones."""
    sold = trades.is_sale & ~trades.is_wash
    token, where = trades.token[sold], trades.collection[sold]
    slot = salted(state.day, 31, token) % np.uint64(RECENT)
    state.recent[where, slot.astype(np.int64)] = token


class _Drafts:
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
        """Some sales go back and forth between two wallets at a price of their choosing."""
        where = self.columns["collection"][0]
        rate = np.minimum(config.calibration.wash_share * universe.wash, 0.2)
        for fault in config.active("wash_storm", day):
            struck = (np.arange(config.collections) + fault.day) % 10 == 0
            rate = np.where(struck, 1 - np.exp(-fault.magnitude), rate)
        alone = self.columns["n_in_tx"][0] == 1
        legs = np.flatnonzero((rng.random(self.n_base) < rate[where]) & alone)
        if not len(legs):
            return
        self.columns["is_wash"][0][legs] = True
        self.columns["log_price"][0][legs] += np.abs(rng.normal(0.25, 0.4, len(legs)))
        self.columns["side"][0][legs] = LISTING
        time = self.columns["time"][0][legs]
        back = np.minimum(
            time + (rng.exponential(3600e6, len(legs))).astype(np.int64) + 12_000_000, DAY_US - 1
        )
        self._add(
            collection=where[legs],
            token=self.columns["token"][0][legs],
            time=back,
            tx=self.next_tx + np.arange(len(legs)),
            log_price=self.columns["log_price"][0][legs] + rng.normal(0.0, 0.03, len(legs)),
            side=LISTING,
            is_wash=True,
            returns=True,
        )
        self.next_tx += len(legs)

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

    def settled(self, config: SimulatorConfig, state: MarketState, rng: np.random.Generator) -> Trades:
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
            return np.where(follows, np.append(-1, buyer[:-1]), state.owner[token]) if n else buyer

        seller = sellers()
        back = flat.pop("returns") & follows
        buyer[back] = seller[np.flatnonzero(back) - 1]
        met = buyer == sellers()
        buyer[met] = (buyer[met] + 1) % wallets(config)
        selfish = (
            flat["is_sale"] & (flat["n_in_tx"] == 1) & (rng.random(n) < config.calibration.self_trade_share)
        )
        buyer[selfish] = sellers()[selfish]
        flat["time"] = flat["time"] + state.day * DAY_US
        return Trades(buyer=buyer, seller=sellers(), **flat)
