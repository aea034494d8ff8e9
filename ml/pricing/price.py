"""The price of a token: `price`, the one place where an estimate and its interval are made.

Here: from features, tiers and models to an estimate. Not here: which tier prices a row (`ml.pricing.tiers`), the models
(`ml.pricing.models`), or reading and writing tables.

Concept: ln estimate = index + adjustment + residual. The adjustment is the pooled prior's gap to the index, or the
effect of rarity where the index prices by itself; the residual is the weighted booster of the collection. Callers that
need an estimate of a past or present token use this function, so that the error that is published is the error of the
code that runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.compute.matrix import Matrix
from ml.metrics.formulas import premium_tier
from ml.models.frames import FeatureSet
from ml.models.local import LocalInputs, UnnamedColumnsError, predict_local
from ml.models.prior import predict_gap, predict_scale
from ml.models.traits import RaggedTraitsError, TraitLists
from ml.pricing.models import PricingModels, RowIntervals
from ml.pricing.tiers import TierChoices
from ml.registry.artifacts import ArtifactLostError
from ml.states import NoValue, Tier
from ml.tables.predictions import LEAST_ETH, MOST_ETH

Float = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class PricingInputs:
    """What is known of n tokens, each as of its own time.

    Attributes:
        collection: Whose token.
        market: Market of the collection.
        base_log: The index, ln ETH; NaN where there is none.
        floor_log: ln of the trailing 20th percentile; NaN where there is none.
        rarity: Rarity percentile (0 common … 1 rarest); NaN where unknown.
        features: Shape (n, features), columns as in `FeatureSet.names`.
        traits: Trait values; needed for rows of tier own_model only.
    """

    collection: Objects
    market: Objects
    base_log: Float
    floor_log: Float
    rarity: Float
    features: Matrix
    traits: TraitLists

    def __len__(self) -> int:
        return len(self.base_log)


@dataclass(frozen=True)
class Prices:
    """What n tokens are worth; arrays of length n, log units of ETH.

    Attributes:
        tier: Tier that priced the row; `none` where there is no value.
        reason: Why there is no value, or None.
        prior_version: Prior behind the estimate, or None.
        base_log: The index.
        adjustment_log: What the prior, or rarity, adds.
        residual_log: What the collection's own booster adds.
        estimate_log: Their sum; NaN where there is no value, so that nobody uses what is not published.
        prior_log: ln estimate of the pooled prior by itself; NaN where no prior was asked.
        half_80: Half-width of the 80 % interval; NaN where there is none, or no value.
        half_90: Half-width of the 90 % interval, likewise.
        mean_log: Added to a log estimate before it enters a sum; NaN where there is no value.
        refused: Collections whose booster could not be used, with the reason; the pooled prior prices them.
    """

    tier: Objects
    reason: Objects
    prior_version: Objects
    base_log: Float
    adjustment_log: Float
    residual_log: Float
    estimate_log: Float
    prior_log: Float
    half_80: Float
    half_90: Float
    mean_log: Float
    refused: dict[str, str]

    @property
    def valued(self) -> npt.NDArray[np.bool_]:
        """Which rows have a value."""
        return _missing(self.reason)

    def eth(self) -> dict[str, Float]:
        """Estimate, bounds and mean in ETH; NaN where there is none."""
        log = self.estimate_log
        return {
            "estimate_eth": np.exp(log),
            "lower_80_eth": np.exp(log - self.half_80),
            "upper_80_eth": np.exp(log + self.half_80),
            "lower_90_eth": np.exp(log - self.half_90),
            "upper_90_eth": np.exp(log + self.half_90),
            "expected_eth": np.exp(log + self.mean_log),
        }


def price(
    inputs: PricingInputs,
    choices: TierChoices,
    models: PricingModels,
    intervals: RowIntervals,
    features: FeatureSet,
    threads: int,
) -> Prices:
    """Price n tokens.

    Args:
        inputs: What is known of them.
        choices: What prices each.
        models: The models.
        intervals: State of the intervals as of each row's time.
        features: Names of the feature columns.
        threads: CatBoost threads.

    Raises:
        ArtifactLostError: When a prior's file is missing or damaged.
    """
    residual, refused = _residuals(inputs, choices, models, features)
    tier = choices.tier.copy()
    if refused:
        tier[np.isin(inputs.collection, list(refused)) & (tier == Tier.OWN)] = Tier.POOLED
    prior_log, scale = _priors(inputs, choices.prior_version, models, threads)
    by_index = np.asarray(tier == Tier.INDEX)
    adjustment = np.where(by_index, _rarity(inputs, by_index, models), prior_log - inputs.base_log)
    pooled_log = np.where(by_index, inputs.base_log + adjustment, prior_log)
    half_80, half_90, mean_log = _intervals(
        inputs, pooled_log, np.where(by_index, np.nan, scale), intervals, models
    )
    reason = choices.reason.copy()
    reason[_missing(reason) & ~np.isfinite(inputs.base_log)] = NoValue.NO_FEATURES
    estimate_log = pooled_log + residual
    reason[_missing(reason) & _implausible(estimate_log, half_90, mean_log)] = NoValue.IMPLAUSIBLE
    priced = _missing(reason)
    return Prices(
        tier=np.where(priced, tier, Tier.NONE).astype(object),
        reason=reason,
        prior_version=_where(~by_index & priced, choices.prior_version),
        base_log=inputs.base_log,
        adjustment_log=adjustment,
        residual_log=residual,
        estimate_log=np.where(priced, estimate_log, np.nan),
        prior_log=prior_log,
        half_80=np.where(priced, half_80, np.nan),
        half_90=np.where(priced, half_90, np.nan),
        mean_log=np.where(priced, mean_log, np.nan),
        refused=refused,
    )


def _implausible(estimate_log: Float, half_90: Float, mean_log: Float) -> npt.NDArray[np.bool_]:
    """Which rows have an estimate, bound or mean that no token can be worth.

    They get no value, so that a collection whose prices span cents to thousands stops no other one.
    """
    half = np.where(np.isnan(half_90), 0.0, half_90)
    lowest, highest = estimate_log - half, np.maximum(estimate_log + half, estimate_log + mean_log)
    with np.errstate(invalid="ignore"):
        return np.asarray(~((lowest >= np.log(LEAST_ETH)) & (highest <= np.log(MOST_ETH))))


def _missing(values: Objects) -> npt.NDArray[np.bool_]:
    """Which values are None."""
    return np.fromiter((value is None for value in values), np.bool_, len(values))


def _where(chosen: npt.NDArray[np.bool_], values: Objects) -> Objects:
    """The chosen values, None elsewhere."""
    result = np.full(len(values), None, dtype=object)
    result[chosen] = values[chosen]
    return result


def rarity_effect(rarity: Float, effects: Sequence[float]) -> Float:
    """Log effect of each token's rarity percentile (0 common … 1 rarest); 0 without a percentile."""
    known = np.isfinite(rarity)
    bins = np.clip(np.floor(np.where(known, rarity, 0.0) * len(effects)), 0, len(effects) - 1).astype(
        np.int64
    )
    return np.where(known, np.asarray(effects)[bins], 0.0)


def _priors(
    inputs: PricingInputs, version: Objects, models: PricingModels, threads: int
) -> tuple[Float, Float]:
    """Ln estimate of each row's prior and the error it expects of itself; NaN where no prior was asked."""
    prior_log, scale = np.full(len(inputs), np.nan), np.full(len(inputs), np.nan)
    indexed = np.isfinite(inputs.base_log)
    for name in sorted({name for name in version[indexed] if name is not None}):
        rows = np.flatnonzero(indexed & (version == name))
        own = inputs.features if len(rows) == len(inputs) else inputs.features[rows]
        prior_log[rows] = inputs.base_log[rows] + predict_gap(models.prior(name), own, threads)
        if (model := models.scale(name)) is not None:
            premium = prior_log[rows] - inputs.floor_log[rows]
            scale[rows] = predict_scale(model, own, premium, threads)
    return prior_log, scale


def _rarity(inputs: PricingInputs, by_index: npt.NDArray[np.bool_], models: PricingModels) -> Float:
    """What rarity adds to the index where it prices by itself, 0 elsewhere."""
    effect = np.zeros(len(inputs))
    for market in sorted(set(inputs.market[by_index].tolist())):
        if effects := models.index_of(market).effects:
            rows = np.flatnonzero(by_index & (inputs.market == market))
            effect[rows] = rarity_effect(inputs.rarity[rows], effects)
    return effect


def _intervals(
    inputs: PricingInputs, pooled_log: Float, scale: Float, intervals: RowIntervals, models: PricingModels
) -> tuple[Float, Float, Float]:
    """Half-widths and mean corrections by premium tier.

    A row without a scale, or in a market that is not calibrated yet, gets the wider intervals of the index.
    """
    tier = premium_tier(pooled_log, inputs.floor_log)
    rows = np.arange(len(inputs))
    half_80 = intervals.quantile_80[rows, tier] * scale
    half_90 = intervals.quantile_90[rows, tier] * scale
    mean_log = np.where(np.isfinite(half_80), intervals.mean_log[rows, tier], 0.0)
    borrowed = ~np.isfinite(half_80)
    for market in sorted(set(inputs.market[borrowed].tolist())):
        if (calibration := models.index_of(market).calibration) is not None:
            at = np.flatnonzero(borrowed & (inputs.market == market))
            half_80[at], half_90[at] = calibration.half_widths(np.ones(len(at)), tier[at])
            mean_log[at] = np.asarray(calibration.mean_log)[tier[at]]
    return half_80, half_90, mean_log


def _residuals(
    inputs: PricingInputs, choices: TierChoices, models: PricingModels, features: FeatureSet
) -> tuple[Float, dict[str, str]]:
    """Weighted residuals of the collections' own boosters, 0 elsewhere, and the boosters that cannot be used."""
    residual, refused = np.zeros(len(inputs)), {}
    wanted = np.flatnonzero((choices.tier == Tier.OWN) & np.isfinite(inputs.base_log))
    if not len(wanted):
        return residual, {}
    positions = [features.names.index(name) for name in features.local_names]
    names, groups = np.unique(inputs.collection[wanted].astype(str), return_inverse=True)
    for number, key in enumerate(names.tolist()):
        rows, champion = wanted[groups == number], choices.champions[key]
        if not champion.local_sha or not champion.weight:
            continue
        try:
            booster = models.booster(champion.local_sha)
            traits = inputs.traits.of_collection(key, rows)
            numbers = inputs.features[np.ix_(rows, positions)]
            own = predict_local(booster, LocalInputs(features.local_names, numbers, traits))
        except (ArtifactLostError, UnnamedColumnsError, RaggedTraitsError) as error:
            refused[key] = str(error)
            continue
        residual[rows] = champion.weight * own
    return residual, refused
