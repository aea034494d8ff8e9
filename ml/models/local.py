"""The local model of one collection: what the pooled prior leaves unexplained there.

Here: one booster on out-of-fold residuals with the raw traits as categories, its time limit, and its prediction. Not
here: whether it is good enough (`ml.training.gate`), or which collections are fitted when (`ml.training`).

Concept: the residual is small and the data few, so the settings are conservative and a weight that shrinks
with few sales is applied outside the booster (docs/domain.md, section 5.3). A category is the trait value itself, never
a code that a later reveal could shift; a missing value is a value of its own. A booster knows its columns by name:
numbers by the name of the feature, traits by the name of their type. A type that is new since the fit is ignored, one
that is gone is absent, and the order does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor, FeaturesData, Pool

from ml.compute.matrix import Matrix
from ml.models.fitting import fit
from ml.models.traits import Traits

Float = npt.NDArray[np.float64]

TRAIT_PREFIX = "trait: "
"""Begins the name of a booster's trait column, so that no type can be taken for a number."""


@dataclass(frozen=True)
class LocalConfig:
    """Settings of a local booster (docs/domain.md, section 5.3).

    Attributes:
        iterations: Trees.
        depth: Depth of each tree.
        learning_rate: Shrinkage per tree.
        l2_leaf_reg: L2 penalty on leaf values.
        border_count: Bins per numeric feature.
        one_hot_max_size: Categories up to which a trait is one-hot; keeps target statistics out.
        shrink_rows: The weight is the chosen share of n / (n + shrink_rows).
        seed: Seed of CatBoost.
        seconds: Time one collection may take, all its fits together.
    """

    iterations: int = 120
    depth: int = 4
    learning_rate: float = 0.05
    l2_leaf_reg: float = 10.0
    border_count: int = 32
    one_hot_max_size: int = 255
    shrink_rows: float = 1000.0
    seed: int = 13
    seconds: float = 60.0


class FitTimeoutError(TimeoutError):
    """A collection's fits took longer than they may."""


class UnnamedColumnsError(ValueError):
    """A booster does not name its columns: an earlier version of Assay fitted it."""


@dataclass(frozen=True)
class LocalInputs:
    """What a local booster sees of some sales or tokens of one collection.

    Attributes:
        names: Names of the numeric features.
        numbers: Numeric features, shape (n, features).
        traits: Traits of the same rows.
    """

    names: tuple[str, ...]
    numbers: Matrix
    traits: Traits

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: slice | npt.NDArray[np.int64]) -> LocalInputs:
        """The same for a part of the rows."""
        return LocalInputs(self.names, self.numbers[chosen], self.traits.rows(chosen))

    def fit_columns(self) -> list[str]:
        """Columns of a booster that is fitted on these rows: the numbers, then the trait types."""
        return [*self.names, *(TRAIT_PREFIX + name for name in self.traits.types)]

    def pool(self, columns: Sequence[str], target: Float | None = None) -> Pool:
        """The named columns as a CatBoost pool.

        Args:
            columns: Names of the columns, numbers first, as `fit_columns` and every fitted booster have them.
            target: What is learnt, shape (n,), or None.

        Raises:
            UnnamedColumnsError: When a column is neither a trait nor a number of these rows.
        """
        numbers = [name for name in columns if name in self.names]
        traits = [name for name in columns if name.startswith(TRAIT_PREFIX)]
        known = [*numbers, *traits]
        if known != list(columns):
            found = next(name for name, other in zip_longest(columns, known) if name != other)
            raise UnnamedColumnsError(
                f"expected a booster with columns {', '.join(self.names)} and then traits, found the column {found!r}; "
                "train the collection again"
            )
        codes = [self.traits.column(name.removeprefix(TRAIT_PREFIX)) for name in traits]
        present, places = np.unique(np.array(codes, np.int32).T, return_inverse=True)
        values = np.array([value.encode() for value in self.traits.vocabulary[present]], dtype=object)
        # For a collection's thousand rows this takes half the time of a data frame.
        data = FeaturesData(
            np.ascontiguousarray(
                self.numbers[:, [self.names.index(name) for name in numbers]], dtype=np.float32
            ),
            values[places.reshape(-1, len(traits))] if traits else None,
            numbers,
            traits or None,
        )
        return Pool(data, target)


class _Deadline:
    """CatBoost callback that ends a fit at a given time of the monotonic clock."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.passed = False

    def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's callback signature
        self.passed = time.monotonic() > self.at
        return not self.passed


def fit_local(
    inputs: LocalInputs, residual_log: Float, config: LocalConfig, deadline: float
) -> CatBoostRegressor:
    """Fit a local booster on out-of-fold residuals of the prior.

    Args:
        inputs: Features of the sales, shape (n, …).
        residual_log: ln price − ln prior estimate, shape (n,).
        config: Settings.
        deadline: Time of `time.monotonic()` by which the fit must have ended.

    Returns:
        The booster; it runs on one thread, so that collections can run side by side.

    Raises:
        FitTimeoutError: When the deadline passes first.
    """
    watch = _Deadline(deadline)
    model = local_booster(config)
    fit(model, inputs.pool(inputs.fit_columns(), residual_log), callbacks=[watch])
    if watch.passed:
        raise FitTimeoutError(
            f"a local fit on {len(inputs)} sales was ended after {model.tree_count_} of {config.iterations} "
            f"trees: the collection's {config.seconds:g} s were over; raise LocalConfig.seconds"
        )
    return model


def local_booster(config: LocalConfig) -> CatBoostRegressor:
    """The booster of a collection, not fitted yet."""
    return CatBoostRegressor(
        loss_function="MAE",
        iterations=config.iterations,
        depth=config.depth,
        learning_rate=config.learning_rate,
        l2_leaf_reg=config.l2_leaf_reg,
        border_count=config.border_count,
        one_hot_max_size=config.one_hot_max_size,
        random_seed=config.seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )


def predict_local(model: CatBoostRegressor, inputs: LocalInputs) -> Float:
    """The booster's residual in log units, before weighting, shape (n,).

    Raises:
        UnnamedColumnsError: When the booster does not know its columns by name.
    """
    if len(inputs) == 0:
        return np.empty(0)
    return np.asarray(model.predict(inputs.pool(model.feature_names_), thread_count=1), dtype=np.float64)
