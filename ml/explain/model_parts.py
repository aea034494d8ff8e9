"""What the models add to the index: the pooled model by feature group, a collection's own model by trait.

Here: SHAP values of the two boosters, summed up. Not here: the index's parts (`index_parts`), or which models speak
(`speaker`).

Concept: SHAP values of trees (Lundberg et al. 2020) add up to the prediction; grouped by what an owner has a word for,
they still do. What a model says of everything on average is a part of its own: it is no merit of the token. The last
bit of rounding goes there, so that the parts of a token sum to the production code's own prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from catboost import CatBoostRegressor, Pool

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
from ml.models.collection_reader import trait_codes
from ml.models.frames import FeatureSet
from ml.models.local import LocalInputs, predict_local, trait_matrix
from ml.models.matrix import Matrix, matrix
from ml.models.prior import predict_gap

Float = npt.NDArray[np.float64]

GROUP_OF = {feature.name: feature.group for feature in FEATURES} | {
    "a_trait": SIMILAR_TRAITS,
    "b_trait": SIMILAR_TRAITS,
}
"""Feature to its group; features that the schema does not declare explain themselves."""


def pooled_parts(
    prior: CatBoostRegressor, features: Matrix, feature_set: FeatureSet, threads: int
) -> list[Part]:
    """The pooled model's gap to the index: its average, and one part per feature group that has any effect.

    Args:
        prior: The model that speaks.
        features: Shape (tokens, features), columns as in `feature_set.names`.
        feature_set: Names of the columns.
        threads: CatBoost threads.
    """
    values = _shap(prior, Pool(features), threads)
    parts = _by_group(values, feature_set.names, POOLED_PREFIX, "Market model")
    return _closed(predict_gap(prior, features, threads), POOLED_AVERAGE, _POOLED_AVERAGE, parts)


def local_parts(
    booster: CatBoostRegressor,
    weight: float,
    table: pa.Table,
    feature_set: FeatureSet,
    traits: TokenTraits,
    threads: int,
) -> list[Part]:
    """The own model's weighted residual: its average, its features by group, and one part per trait type.

    Args:
        booster: The collection's own model.
        weight: Share of its residual that is added.
        table: Rows of features.token_features with `trait_values`, in the order of `traits`.
        feature_set: Names of the columns.
        traits: Of the same tokens.
        threads: CatBoost threads.

    Raises:
        RaggedTraitsError: When tokens have different numbers of trait types.
    """
    numbers = matrix(table, feature_set.local_names)
    codes, offsets, vocabulary = trait_codes(table["trait_values"])
    inputs = LocalInputs(numbers, trait_matrix(codes, offsets, "the collection"), vocabulary)
    values = weight * _shap(booster, inputs.pool(), threads)
    width = numbers.shape[1]
    parts = _by_group(values[:, :width], feature_set.local_names, LOCAL_PREFIX, "Own model")
    for number in range(inputs.traits.shape[1]):
        labels = [label or "Traits unknown" for label in traits.labels(number)]
        parts.append(Part(LOCAL_TRAIT, labels, values[:, width + number]))
    residual = weight * predict_local(booster, inputs)
    return _closed(residual, LOCAL_AVERAGE, _LOCAL_AVERAGE, parts)


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
