"""What does not change while the market runs: collections, tokens, traits and their premiums.

Here: everything drawn once from the seed. Not here: the market's course (`sources.simulator.market`). Tokens of all
collections are in one long array; collection k owns positions offsets[k] to offsets[k + 1]; a token's id
is its position in the collection, counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtri

from sources.simulator.config import Fault, SimulatorConfig
from sources.simulator.identifiers import hex_text, salted

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_TYPES = 8
MAX_VALUES = 40
ABSENT = 255
"""Trait code of a token that lacks the trait (there is no row for it)."""
TYPE_NAMES = ("Background", "Body", "Clothing", "Eyes", "Hat", "Mouth", "Earring", "Aura")
_EMPTY_SHARE = 0.35  # Share of trait types that some tokens lack.
_PRICED_SHARE = 0.24  # Trait values anyone pays for.
_PREMIUM_SCALE = 0.5  # Log premium per unit of information beyond the common.
_COMMON_INFORMATION = 2.3  # -ln(share): a value that one token in ten has is common.
_MOST_PREMIUM = 3.0  # Log: no single trait multiplies the level by more than 20.
_STREAM_UNIVERSE, _STREAM_TRAITS = 1, 2


@dataclass(frozen=True)
class Universe:
    """Collections and tokens.

    Attributes:
        names: Collection names (k).
        contracts: Contract addresses (k).
        sizes: Tokens per collection (k).
        offsets: First token position of each collection (k + 1).
        launch_day: Day of the mint; negative = before the first day (k).
        rate: Expected secondary sales per day (k).
        level: Log ETH level at the first day or launch (k).
        volatility: Multiplies the own daily sd (k).
        beta: Exposure to the market factor (k).
        noise: Multiplies the price noise (k).
        wash: Multiplies the wash share (k), mean 1.
        types: Number of trait types (k).
        codes: Trait value per token and type, ABSENT where lacking (tokens, MAX_TYPES).
        effect: Log premium of each token over its collection's level; median 0 per collection (tokens).
        floor_effect: The 10th percentile of a collection's effects (k).
        collection_of: Collection of each token (tokens).
    """

    names: pa.StringArray
    contracts: pa.StringArray
    sizes: Ints
    offsets: Ints
    launch_day: Ints
    rate: Floats
    level: Floats
    volatility: Floats
    beta: Floats
    noise: Floats
    wash: Floats
    types: Ints
    codes: npt.NDArray[np.uint8]
    effect: npt.NDArray[np.float32]
    floor_effect: Floats
    collection_of: npt.NDArray[np.int32]


def build_universe(config: SimulatorConfig) -> Universe:
    """Draw the collections and tokens of a market."""
    rng = np.random.default_rng([config.seed, _STREAM_UNIVERSE])
    n, c = config.collections, config.calibration
    # Log-normal sizes: from 100 tokens to the usual 10,000.
    sizes = _with_mean(config.mean_tokens, _evenly_normal(rng, n), 100, 10_000).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    exists = rng.random(n) < c.existing_share
    launch = np.where(exists, -rng.integers(10, 400, n), rng.integers(1, c.launch_span_days, n))
    # Late launches have fewer days to trade in: the mean over all is kept.
    seen = c.existing_share + (1 - c.existing_share) * (1 - c.launch_span_days / 2 / 365)
    yearly = _with_mean(
        config.mean_sales / seen, c.sales_spread * _evenly_normal(rng, n), 0, (sizes * 10).astype(np.float64)
    )
    rate = yearly / 365
    wash = np.exp(rng.normal(-1.125, 1.5, n))
    level = rng.normal(np.log(0.25), 1.2, n)
    volatility, beta = np.exp(rng.normal(-0.08, 0.4, n)), np.clip(rng.normal(1.0, 0.35, n), 0.1, None)
    noise = np.exp(rng.normal(-0.045, 0.3, n))
    types = np.where(rng.random(n) < c.no_trait_share, 0, np.clip(rng.poisson(3.3, n) + 3, 3, MAX_TYPES))
    codes, effect = _traits(config, sizes, offsets, types)
    collection_of = np.repeat(np.arange(n, dtype=np.int32), sizes)
    effect, floor_effect = _centred(effect, offsets)
    number = np.char.mod("sim-%05d", np.arange(n))
    return Universe(
        names=pa.array(number.tolist()),
        contracts=hex_text(salted(config.seed, 11, np.arange(n)), 20),
        sizes=sizes,
        offsets=offsets,
        launch_day=launch,
        rate=rate,
        level=level,
        volatility=volatility,
        beta=beta,
        noise=noise,
        wash=wash,
        types=types,
        codes=codes,
        effect=effect,
        floor_effect=floor_effect,
        collection_of=collection_of,
    )


def _evenly_normal(rng: np.random.Generator, n: int) -> Floats:
    """Normal deviates in random order, evenly spread: few collections make a whole market."""
    return ndtri((rng.permutation(n) + rng.random(n)) / n)


def _with_mean(mean: float, logs: Floats, low: float, high: float | Floats) -> Floats:
    """exp(logs), scaled so that the mean holds after clipping."""
    values = np.clip(np.exp(logs), None, 30.0)
    for _ in range(20):
        values = values * (mean / np.clip(values, low, high).mean())
    return np.clip(values, low, high)


def _traits(
    config: SimulatorConfig, sizes: Ints, offsets: Ints, types: Ints
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Trait codes and the premium of each token.

    Value frequencies fall like a power of their rank. Most values have no premium; a rare one may have
    a high one: it grows with its information -ln(share), which gives the heavy upper tail of real
    premiums.
    """
    rng = np.random.default_rng([config.seed, _STREAM_TRAITS])
    n, tokens = len(sizes), int(offsets[-1])
    codes = np.full((tokens, MAX_TYPES), ABSENT, np.uint8)
    effect = np.zeros(tokens, np.float32)
    strength = np.exp(rng.normal(-0.2, 0.8, n))
    rank = np.arange(MAX_VALUES)
    for j in range(MAX_TYPES):
        has = types > j
        values = rng.integers(4, MAX_VALUES + 1, n)
        tail = rng.uniform(0.5, 1.6, n)
        weight = np.where(rank < values[:, None], (rank + 1.0) ** -tail[:, None], 0.0)
        share = weight / weight.sum(axis=1, keepdims=True)
        information = -np.log(np.maximum(share, 1e-4))
        priced = rng.random((n, MAX_VALUES)) < _PRICED_SHARE
        premium = (
            priced
            * _PREMIUM_SCALE
            * rng.exponential(1.0, (n, MAX_VALUES)) ** 1.5
            * np.maximum(information - _COMMON_INFORMATION, 0.0)
        )
        premium = np.minimum(
            (premium + rng.normal(0, 0.025, premium.shape)) * strength[:, None], _MOST_PREMIUM
        )
        lacking = np.where(rng.random(n) < _EMPTY_SHARE, rng.uniform(0.05, 0.6, n), 0.0)
        # One sorted search for all collections: their cumulative shares are concatenated.
        ladder = (np.cumsum(share, axis=1) + np.arange(n)[:, None]).ravel()
        where = np.repeat(np.arange(n), sizes)
        draw = rng.random(tokens)
        code = np.searchsorted(ladder, draw * (1 - 1e-9) + where, side="right") - where * MAX_VALUES
        code = np.clip(code, 0, values[where] - 1)
        present = has[where] & (rng.random(tokens) >= lacking[where])
        codes[present, j] = code[present]
        effect[present] += premium[where, code][present].astype(np.float32)
    # The part of a premium that no trait explains. Collections without traits have only this part.
    own = np.where(types > 0, 0.05, 0.2)
    effect += (rng.standard_normal(tokens) * np.repeat(own, sizes)).astype(np.float32)
    return codes, effect


def _centred(effect: npt.NDArray[np.float32], offsets: Ints) -> tuple[npt.NDArray[np.float32], Floats]:
    """Effects with median 0 per collection, and their 10th percentile."""
    sizes = np.diff(offsets)
    order = np.lexsort((effect, np.repeat(np.arange(len(sizes)), sizes)))
    ranked = effect[order]
    median = ranked[offsets[:-1] + sizes // 2]
    low = ranked[offsets[:-1] + sizes // 10] - median
    return effect - np.repeat(median, sizes), low.astype(np.float64)


def with_mania(universe: Universe, faults: tuple[Fault, ...]) -> npt.NDArray[np.float32]:
    """Effects after the manias begun so far: every third collection has one trait value gone dear."""
    effect = universe.effect.copy()
    for fault in faults:
        struck = (np.arange(len(universe.sizes)) + fault.day) % 3 == 0
        chosen = struck[universe.collection_of] & (universe.codes[:, 0] == 2)
        effect[chosen] += np.float32(fault.magnitude)
    return effect
