"""The market's course: its state at midnight and the trades of one day.

Here: levels, which tokens sell and at what price. Not here: who trades with whom (`sources.simulator.trades`), orders
(`sources.simulator.orders`), raw rows (`sources.simulator.rows`), when rows arrive (`sources.simulator.arrivals`).
Everything is vectorised over collections; times are microseconds since the start of the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sources.simulator.config import DAY_US, SimulatorConfig, day_generator
from sources.simulator.identifiers import salted
from sources.simulator.orders import Orders
from sources.simulator.trades import BID, Drafts, Trades, in_order, wallets
from sources.simulator.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RECENT = 16
"""How many of the tokens sold last are kept per collection (flippers buy and sell these)."""
_CANDIDATES = 6
_WIDEST = 30.0  # Scales: a draw beyond this is not a plausible price.


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


def first_state(config: SimulatorConfig, universe: Universe) -> MarketState:
    """The market at the first midnight; every token belongs to the wallet that minted it."""
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


def trade_one_day(
    config: SimulatorConfig, universe: Universe, effect: npt.NDArray[np.float32], state: MarketState
) -> tuple[Trades, Floats]:
    """Draw the day's trades and move the state to the next midnight (orders excepted).

    Args:
        config: The market's settings.
        universe: Collections and tokens.
        effect: Log premium of each token on this day.
        state: The market at the start of the day; changed in place.

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
    trades = Drafts(where, token, clock, level + effect[token] + noise, side)
    trades.add_bundles(config, universe, effect, level, rng)
    trades.add_wash(config, universe, state.day, rng)
    trades.add_gifts(config, universe, rng)
    settled = trades.settled(config, state.owner, state.day, rng)
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
    return in_order(settled), shift


def _pace(
    config: SimulatorConfig, universe: Universe, state: MarketState, rng: np.random.Generator
) -> Floats:
    """Expected sales per collection today: busy after the launch, and busy by moods."""
    age = state.day - universe.launch_day
    mood = np.exp(rng.normal(-0.32, 0.8, config.collections))
    hype = 0.92 + 4.0 * np.exp(-np.maximum(age, 0) / 10.0)
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
