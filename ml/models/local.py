"""The local model of one collection: what the pooled prior leaves unexplained there.

Here: one booster on out-of-fold residuals with the raw traits as categories, its time limit, and its
prediction. Not here: whether it earns its place (`gate`), or which collections are fitted when (`training`).

Concept: the residual is small and the data few, so the settings are conservative and a weight that shrinks
with few sales is applied outside the booster (DOMAIN.md §5.3). A category is the trait value itself, never a
code that a later reveal could shift; a missing value is a value of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from catboost import CatBoostRegressor, Pool

from ml.models.matrix import Matrix

Float = npt.NDArray[np.float64]

ABSENT = "(absent)"
"""Stands for a null trait value: CatBoost refuses a null category, and absence is information."""


@dataclass(frozen=True)
class LocalConfig:
    """Settings of a local booster (DOMAIN.md §5.3).

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


class RaggedTraitsError(ValueError):
    """Tokens of one collection have different numbers of trait types."""


class FitTimeoutError(TimeoutError):
    """A collection's fits took longer than they may."""


@dataclass(frozen=True)
class LocalInputs:
    """What a local booster sees of some sales or tokens of one collection.

    Attributes:
        numbers: Numeric features, shape (n, features).
        traits: Trait codes, shape (n, trait types): positions in `vocabulary`.
        vocabulary: Trait values as text, shared by all types; nulls already replaced by `ABSENT`.
    """

    numbers: Matrix
    traits: npt.NDArray[np.int32]
    vocabulary: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: slice | npt.NDArray[np.int64]) -> LocalInputs:
        """The same for a part of the rows."""
        return LocalInputs(self.numbers[chosen], self.traits[chosen], self.vocabulary)

    def pool(self, target: Float | None = None) -> Pool:
        """As a CatBoost pool; categories are hashed once per distinct value, not once per row."""
        width = self.numbers.shape[1]
        columns: dict[str, Any] = {f"number_{i}": self.numbers[:, i] for i in range(width)}
        for i in range(self.traits.shape[1]):
            present, codes = np.unique(self.traits[:, i], return_inverse=True)
            categories = pd.Index(self.vocabulary[present])
            columns[f"trait_{i}"] = pd.Categorical.from_codes(codes, categories)  # type: ignore[arg-type]
        names = [f"trait_{i}" for i in range(self.traits.shape[1])]
        return Pool(pd.DataFrame(columns, copy=False), target, cat_features=names)


class _Deadline:
    """CatBoost callback that ends a fit at an instant of the monotonic clock."""

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
        deadline: Instant of `time.monotonic()` by which the fit must have ended.

    Returns:
        The booster; it runs on one thread, so that collections can run side by side.

    Raises:
        FitTimeoutError: When the deadline passes first.
    """
    watch = _Deadline(deadline)
    model = local_booster(config)
    model.fit(inputs.pool(residual_log), callbacks=[watch])
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
    """The booster's residual in log units, before weighting, shape (n,)."""
    if len(inputs) == 0:
        return np.empty(0)
    return np.asarray(model.predict(inputs.pool(), thread_count=1), dtype=np.float64)


def trait_matrix(
    codes: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], what: Sequence[object] | str
) -> npt.NDArray[np.int32]:
    """Ragged trait codes of one collection's rows as a matrix.

    Args:
        codes: Codes of all rows, one after the other.
        offsets: Where each row's codes begin and the last one ends, shape (n + 1,).
        what: Names the rows in an error.

    Returns:
        Shape (n, trait types). Rows without traits (tokens the trait table has never seen) get code 0, which
        callers reserve for `ABSENT`.

    Raises:
        RaggedTraitsError: When rows have different numbers of trait types.
    """
    widths = np.diff(offsets)
    width = int(widths.max(initial=0))
    filled = widths > 0
    if not np.all(widths[filled] == width):
        raise RaggedTraitsError(
            f"expected the same trait types for every token of {what}, found {widths[filled].min()} to "
            f"{width} values per token; rebuild marts.dim_tokens"
        )
    traits = np.zeros((len(widths), width), np.int32)
    if width:
        starts = offsets[:-1][filled]
        traits[filled] = codes[starts[:, None] + np.arange(width)]
    return traits
