"""What the models add to the index: the pooled model by feature group, a collection's own model by trait.

Here: SHAP values of the two boosters, summed up. Not here: the index's parts (`ml.explain.index_parts`), or which
models price (`ml.explain.models_used`).

Concept: SHAP values of trees (Lundberg et al. 2020) add up to the prediction; grouped into terms that an owner knows,
they still do. What a model predicts on average over everything is a part of its own: it is not due to the token. The
last bit of rounding goes there, so that the parts of a token sum to the production code's own prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor, Pool

from ml.compute.matrix import Matrix
from ml.explain.components import (
    LOCAL_AVERAGE,
    LOCAL_PREFIX,
    LOCAL_TRAIT,
    POOLED_AVERAGE,
    POOLED_PREFIX,
    SIMILAR_TRAITS,
    Part,
    group_label,
)
from ml.explain.traits import TokenTraits
from ml.features.schema import FEATURES
from ml.models.frames import FeatureSet
from ml.models.local import TRAIT_PREFIX, LocalInputs

Float = npt.NDArray[np.float64]

GROUP_OF = {feature.name: feature.group for feature in FEATURES} | {
    "a_trait": SIMILAR_TRAITS,
    "b_trait": SIMILAR_TRAITS,
}
"""Feature to its group; features that the schema does not declare get a group of their own name."""


def pooled_parts(
    prior: CatBoostRegressor, features: Matrix, adjustment_log: Float, feature_set: FeatureSet, threads: int
) -> list[Part]:
    """The pooled model's gap to the index: its average, and one part per feature group that has any effect.

    Args:
        prior: The pooled model.
        features: Shape (tokens, features), columns as in `feature_set.names`.
        adjustment_log: What `ml.pricing.price` got from it, shape (tokens,); the parts add up to this.
        feature_set: Names of the columns.
        threads: CatBoost threads.
    """
    values = _shap(prior, Pool(features), threads)
    parts = _by_group(values, feature_set.names, POOLED_PREFIX, "Market model")
    return _closed(adjustment_log, POOLED_AVERAGE, _POOLED_AVERAGE, parts)


def local_parts(
    booster: CatBoostRegressor,
    weight: float,
    inputs: LocalInputs,
    residual_log: Float,
    traits: TokenTraits,
    threads: int,
) -> list[Part]:
    """The own model's weighted residual: its average, its features by group, and one part per trait type it knows.

    Args:
        booster: The collection's own model.
        weight: Share of its residual that is added.
        inputs: What it sees of the tokens.
        residual_log: What `ml.pricing.price` got from it, weighted, shape (tokens,); the parts add up to this.
        traits: Of the same tokens, for the labels.
        threads: CatBoost threads.
    """
    columns = list(booster.feature_names_)
    values = weight * _shap(booster, inputs.pool(columns), threads)
    numbers = [number for number, name in enumerate(columns) if not name.startswith(TRAIT_PREFIX)]
    parts = _by_group(values[:, numbers], [columns[number] for number in numbers], LOCAL_PREFIX, "Own model")
    for number, name in enumerate(columns):
        if not name.startswith(TRAIT_PREFIX):
            continue
        kind = name.removeprefix(TRAIT_PREFIX)
        if kind in traits.types:
            labels = [label or "Traits unknown" for label in traits.labels(traits.types.index(kind))]
        else:
            labels = [f"{kind}: no longer a trait"] * len(traits)
        parts.append(Part(LOCAL_TRAIT, labels, values[:, number]))
    return _closed(residual_log, LOCAL_AVERAGE, _LOCAL_AVERAGE, parts)


_POOLED_AVERAGE = "Market model: its average distance from the index"
_LOCAL_AVERAGE = "Own model: its average correction"


def _by_group(values: Float, names: Sequence[str], prefix: str, who: str) -> list[Part]:
    """SHAP values summed up by feature group; a group without any effect leaves no part."""
    by_group: dict[str, Float] = {}
    for number, name in enumerate(names):
        group = GROUP_OF.get(name, name)
        by_group[group] = by_group.get(group, np.zeros(len(values))) + values[:, number]
    return [
        Part.shared(prefix + group, f"{who}: {group_label(group)}", effect)
        for group, effect in by_group.items()
        if np.any(effect != 0.0)
    ]


def _shap(model: CatBoostRegressor, pool: Pool, threads: int) -> Float:
    """SHAP values, shape (rows, features): one call for all rows; the expected value is left out."""
    values = model.get_feature_importance(pool, type="ShapValues", thread_count=threads)
    return np.asarray(values, np.float64)[:, :-1]


def _closed(prediction: Float, component: str, label: str, parts: list[Part]) -> list[Part]:
    """The parts, led by what is left of the prediction: the model's average."""
    explained = np.sum([part.log_effect for part in parts], axis=0) if parts else np.zeros(len(prediction))
    return [Part.shared(component, label, prediction - explained), *parts]
