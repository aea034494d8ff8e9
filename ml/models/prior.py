"""The pooled models: one prior over all collections, and one model of how wrong it will be.

Here: fitting and applying the pooled CatBoost prior and the scale model. Not here: when they are fitted and
on which rows (`ml.training.walk_forward`), the quantiles that turn a scale into an interval
(`ml.intervals.calibration`).

Concept: every price enters as a gap to the hedonic index, so that a 0.05 ETH collection informs a 50 ETH
collection. The prior learns the log price that is left after the index; there is no collection id in it. The
recipe and its constants are those measured in docs/domain.md, sections 5 (prior) and 7 (scale).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor, Pool

from ml.compute.matrix import Matrix
from ml.metrics.formulas import median_by_group
from ml.models.fitting import fit

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PriorConfig:
    """Settings of the pooled prior (docs/domain.md, section 5.2).

    Attributes:
        iterations: Trees.
        depth: Depth of each tree.
        learning_rate: Shrinkage per tree.
        rsm: Share of features offered to each split.
        border_count: Bins per feature.
        l2_leaf_reg: L2 penalty on leaf values.
        quantile: Quantile of the pinball loss; slightly below the median offsets the skew of over-prices.
        target_clip: Bound on |ln price − index| in training, log units.
        noise_floor: A sale's weight is 1 / (its collection's median |gap| + this), log units: without it the
            noisiest collections would dominate every split.
        rows_per_collection: A collection with more rows than this is down-weighted to this weight in total.
        max_rows: Rows used for a fit at most; more are thinned by seeded sampling.
        seed: Seed of CatBoost and of the sampling.
        threads: CatBoost threads of this one fit.
    """

    iterations: int = 400
    depth: int = 4
    learning_rate: float = 0.06
    rsm: float = 0.5
    border_count: int = 32
    l2_leaf_reg: float = 3.0
    quantile: float = 0.47
    target_clip: float = 2.5
    noise_floor: float = 0.05
    rows_per_collection: int = 1500
    max_rows: int = 200_000
    seed: int = 7
    threads: int = 2


@dataclass(frozen=True)
class ScaleConfig:
    """Settings of the scale model (docs/domain.md, section 7).

    Attributes:
        iterations: Trees.
        depth: Depth of each tree.
        learning_rate: Shrinkage per tree.
        border_count: Bins per feature.
        offset: Added to |error| before the log, log-price units; keeps a perfect hit from being minus
            infinity.
        max_rows: Rows used for a fit at most; more are thinned by seeded sampling.
        seed: Seed of CatBoost and of the sampling.
        threads: CatBoost threads of this one fit.
    """

    iterations: int = 200
    depth: int = 5
    learning_rate: float = 0.06
    border_count: int = 32
    offset: float = 0.02
    max_rows: int = 120_000
    seed: int = 11
    threads: int = 2


class TooFewRowsError(ValueError):
    """A pooled model was asked for on fewer rows than can support it."""


MIN_POOLED_ROWS = 200
"""Rows below which a pooled model is not fitted: the index alone is then the better answer."""


def sample_rows(rows: int, limit: int, seed: int) -> npt.NDArray[np.int64]:
    """Row numbers of a fit: all of them, or `limit` drawn without replacement, in ascending order."""
    if rows <= limit:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=limit, replace=False))


def fit_prior(
    features: Matrix, gap_log: Float, collection: npt.NDArray[np.integer], config: PriorConfig
) -> CatBoostRegressor:
    """Fit the pooled prior.

    Args:
        features: Shape (rows, features).
        gap_log: ln price − index of each sale, shape (rows,).
        collection: Dense code of each row's collection, shape (rows,); only weights depend on it.
        config: Settings.

    Returns:
        The fitted model; its prediction is added to the index.

    Raises:
        TooFewRowsError: Below `MIN_POOLED_ROWS` rows.
    """
    pool = prior_pool(features, gap_log, collection, config)
    return fit(prior_booster(config), pool)


def prior_pool(
    features: Matrix, gap_log: Float, collection: npt.NDArray[np.integer], config: PriorConfig
) -> Pool:
    """What the prior is fitted on: thinned rows, clipped targets, weights by noise and collection.

    Args:
        features: Shape (rows, features).
        gap_log: ln price − index of each sale, shape (rows,).
        collection: Dense code of each row's collection, shape (rows,).
        config: Settings; those of the trees do not matter here, so a study can reuse one pool for many of them.

    Raises:
        TooFewRowsError: Below `MIN_POOLED_ROWS` rows.
    """
    _require_rows(len(gap_log), "prior")
    counts = np.bincount(collection)
    noise = np.nan_to_num(median_by_group(np.abs(gap_log), collection, len(counts)))
    share = np.minimum(1.0, config.rows_per_collection / np.maximum(counts, 1))
    weight = (share / (noise + config.noise_floor))[collection]
    rows = sample_rows(len(gap_log), config.max_rows, config.seed)
    target = np.clip(gap_log[rows], -config.target_clip, config.target_clip)
    return Pool(features[rows], target, weight=weight[rows])


def prior_booster(config: PriorConfig) -> CatBoostRegressor:
    """The prior's booster, not fitted yet."""
    return CatBoostRegressor(
        loss_function=f"Quantile:alpha={config.quantile}",
        iterations=config.iterations,
        depth=config.depth,
        learning_rate=config.learning_rate,
        rsm=config.rsm,
        border_count=config.border_count,
        l2_leaf_reg=config.l2_leaf_reg,
        random_seed=config.seed,
        thread_count=config.threads,
        **_QUIET,
    )


def fit_scale(
    features: Matrix, premium_log: Float, error_log: Float, config: ScaleConfig
) -> CatBoostRegressor:
    """Fit the model of ln(|error| + offset) on out-of-fold errors of the prior.

    Args:
        features: The prior's features, shape (rows, features).
        premium_log: Predicted premium over the floor proxy in log, shape (rows,); the last feature of the
            model.
        error_log: ln price − ln estimate, out of fold, shape (rows,).
        config: Settings.

    Raises:
        TooFewRowsError: Below `MIN_POOLED_ROWS` rows.
    """
    _require_rows(len(error_log), "scale model")
    rows = sample_rows(len(error_log), config.max_rows, config.seed)
    model = CatBoostRegressor(
        loss_function="RMSE",
        iterations=config.iterations,
        depth=config.depth,
        learning_rate=config.learning_rate,
        border_count=config.border_count,
        random_seed=config.seed,
        thread_count=config.threads,
        **_QUIET,
    )
    target = np.log(np.abs(error_log[rows]) + config.offset)
    return fit(model, Pool(with_premium(features[rows], premium_log[rows]), target))


def with_premium(features: Matrix, premium_log: Float) -> Matrix:
    """The scale model's features: the prior's and the predicted premium, shape (rows, features + 1)."""
    return np.column_stack([features, premium_log.astype(np.float32)])


def predict_gap(model: CatBoostRegressor, features: Matrix, threads: int = 2) -> Float:
    """The prior's log gap to the index, shape (rows,)."""
    if len(features) == 0:
        return np.empty(0)
    return np.asarray(model.predict(features, thread_count=threads), dtype=np.float64)


def predict_scale(model: CatBoostRegressor, features: Matrix, premium_log: Float, threads: int = 2) -> Float:
    """Typical |error| in log units, exp of the scale model, shape (rows,)."""
    if len(features) == 0:
        return np.empty(0)
    return np.exp(
        np.asarray(model.predict(with_premium(features, premium_log), thread_count=threads), np.float64)
    )


def _require_rows(found: int, what: str) -> None:
    if found < MIN_POOLED_ROWS:
        raise TooFewRowsError(
            f"the pooled {what} needs at least {MIN_POOLED_ROWS} sales with an index, found {found}; "
            "ingest more history or score with the index alone"
        )


_QUIET: dict[str, Any] = {"verbose": False, "allow_writing_files": False}
