"""Tuning the pooled prior, market by market.

Here: a market's sales as a scope, and all of them under one budget. Not here: the study of one scope
(`ml.tuning.scope`).

Concept: small collections are priced by the pooled prior, so its defaults are worth most. Each market is a study of its
own, as each has a prior of its own; the budget goes where the sum of errors is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ml.models.frames import FeatureSet, SaleFrame, read_sales
from ml.models.markets import split_markets
from ml.models.tuned_settings import MARKET, Adopted, read_adopted, recipe, settings_at
from ml.tables.writing import timestamp
from ml.training.pooled import PooledConfig
from ml.tuning.journal import Journal
from ml.tuning.judgement import clusters_of
from ml.tuning.pooled_objective import PooledObjective
from ml.tuning.scope import Outcome, Scope, TuningConfig, tune_scope
from ml.tuning.spaces import POOLED_SPACE, current
from ml.tuning.windows import TooFewSalesError, split_windows

CLUSTER_DAYS = 7.0
"""Sales of one collection within so many days are resampled together."""


def tune_markets(
    journal: Journal,
    seconds: float,
    *,
    config: TuningConfig | None = None,
    pooled: PooledConfig | None = None,
    features: FeatureSet | None = None,
    markets: Sequence[str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Tune the prior of every market whose verdict no longer stands.

    Args:
        journal: The lake to read sales from and to remember studies in.
        seconds: Wall-clock budget of all markets together, split by their sales × error against the index.
        config: How a market is tuned.
        pooled: The recipe.
        features: Features to use; those declared now when None.
        markets: Only these; all when None.
        clock: Seconds; injected by tests.
        say: Called with a line about progress, for people.

    Returns:
        One outcome per market, largest first.
    """
    config, pooled = config or TuningConfig(), pooled or PooledConfig()
    features = features or FeatureSet.declared()
    recipe_name = recipe(features.fingerprint, pooled.fingerprint())
    with journal.lake.read() as con:
        frame = read_sales(con, features.names)
        adopted = read_adopted(con, MARKET, recipe_name)
    if len(frame) == 0:
        return []
    masks = {
        market: mask
        for market, mask in split_markets(frame, pooled.min_market_sales).items()
        if markets is None or market in markets
    }
    stands = {
        market: until
        for market, until in journal.standing(recipe_name, MARKET).items()
        if market in masks and until > timestamp(int(frame.known_at[masks[market]][-1]))
    }
    value = {
        market: float(np.abs(frame.gap_log[mask]).sum())
        for market, mask in masks.items()
        if market not in stands
    }
    outcomes = []
    for market, mask in masks.items():
        if market in stands:
            outcomes.append(Outcome(MARKET, market, f"its verdict stands until {stands[market]:%Y-%m-%d}"))
            continue
        share = seconds * value[market] / sum(value.values())
        say(f"tuning the prior of {market} for up to {share:.0f} s")
        try:
            scope = market_scope(
                frame.rows(mask), market, recipe_name, pooled, adopted.get(market, ()), config
            )
        except TooFewSalesError as error:
            outcomes.append(Outcome(MARKET, market, str(error)))
            continue
        outcomes.append(tune_scope(scope, journal, config.with_seconds(share), clock))
    return outcomes


def market_scope(
    sales: SaleFrame,
    market: str,
    recipe_name: str,
    pooled: PooledConfig,
    adopted: Sequence[Adopted],
    config: TuningConfig,
) -> Scope:
    """A market's folds, quantised lazily, and the settings its prior has now.

    Raises:
        TooFewSalesError: When a window would be too small for a result.
    """
    base = pooled.walk_forward.prior
    windows = split_windows(sales.known_at, sales.as_of, config.windows)
    later_rows = np.concatenate([window.score for window in windows.later])
    return Scope(
        kind=MARKET,
        name=market,
        recipe=recipe_name,
        space=POOLED_SPACE,
        in_force=current(POOLED_SPACE, settings_at(base, adopted, None)),
        default=current(POOLED_SPACE, base),
        windows=windows,
        search=PooledObjective(
            sales, windows.tuning, replace(base, max_rows=min(base.max_rows, config.rows))
        ),
        later=PooledObjective(sales, windows.later, base),
        clusters=clusters_of(sales.collection[later_rows], sales.known_at[later_rows], CLUSTER_DAYS),
    )
