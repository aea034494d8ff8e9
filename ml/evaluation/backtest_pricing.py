"""The estimates of one refit period of a backtest: every sale of it priced as it would have been at its instant.

Here: who speaks for a sale and what is said. Not here: fitting (`backtest_prior`, `backtest_local`).

Concept: the same tiers as scoring (`ml.models.inference`): a champion's own model, the pooled prior, the index with
rarity, or no value and why. Intervals are those of the last sale known before each sale, which is what an online
calibration would have held; a sale that is not at arm's length asks it, and teaches it nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.evaluation.backtest_data import History, PricingRows
from ml.evaluation.backtest_parts import Reign
from ml.evaluation.backtest_prior import Walked
from ml.evaluation.ledger import ESTIMATE_SCHEMA
from ml.evaluation.metrics import premium_tier
from ml.evaluation.walk_forward import Fold
from ml.index.params import DEFAULT_PARAMS
from ml.models.calibration import prequential_half_widths
from ml.models.champion import TIER_INDEX, TIER_NONE, TIER_OWN, TIER_POOLED
from ml.models.collection_reader import collection_slices, trait_codes
from ml.models.frames import FeatureSet
from ml.models.gate import GateConfig
from ml.models.index_alone import NOTHING_LEARNT, IndexAlone
from ml.models.inference import ScoringConfig
from ml.models.local import LocalInputs, predict_local, trait_matrix
from ml.models.matrix import matrix
from ml.models.pooled import PooledConfig, prior_version
from ml.models.prior import predict_gap, predict_scale
from ml.models.speaking import REASON_FEW_SALES, REASON_NO_FEATURES, REASON_SILENT
from ml.models.token_predictions import rarity_effect
from ml.registry.artifacts import ArtifactStore

Float = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class InForce:
    """What speaks during one period, all of it made from sales known before the period.

    Attributes:
        folds: Folds of each market; the last one is live.
        reigns: Champions by collection.
        mean_log: Mean correction by premium tier, by market.
        index_alone: What is said where the index speaks alone, by market.
    """

    folds: Mapping[str, Sequence[Fold]]
    reigns: Mapping[str, Reign]
    mean_log: Mapping[str, Sequence[float]]
    index_alone: Mapping[str, IndexAlone]


@dataclass
class _Spoken:
    """What the pooled parts say of each row; arrays of length n."""

    tier: Objects
    reason: Objects
    prior: Float
    log: Float
    half_80: Float
    half_90: Float
    mean_log: Float
    version: Objects


def price(
    con: duckdb.DuckDBPyConnection,
    rows: PricingRows,
    history: History,
    walked: Walked,
    force: InForce,
    features: FeatureSet,
    config: PooledConfig,
    scoring: ScoringConfig,
    artifacts: ArtifactStore,
) -> pa.Table:
    """Estimates of the rows.

    Args:
        con: Connection with the temporary table `backtest_features`.
        rows: Sales of the period.
        history: The past, for the state of the intervals.
        walked: Its out-of-fold predictions by the folds in force.
        force: What speaks.
        features: Feature columns.
        config: Settings of the pooled stage.
        scoring: When there is no value; threads.
        artifacts: Where models are.

    Returns:
        Rows of `ESTIMATE_SCHEMA`, one per sale and in the order of the rows.
    """
    n = len(rows)
    spoken = _Spoken(
        np.full(n, TIER_POOLED, dtype=object),
        np.full(n, None, dtype=object),
        np.full(n, np.nan),
        rows.base_log.copy(),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.zeros(n),
        np.full(n, None, dtype=object),
    )
    for market in sorted(set(rows.market.tolist())):
        _speak(
            rows,
            np.flatnonzero(rows.market == market),
            market,
            history,
            walked,
            force,
            config,
            scoring,
            artifacts,
            spoken,
        )
    _index_alone(rows, force, spoken)
    spoken.log += _residuals(con, rows, force, features, artifacts, spoken)
    return _table(rows, force, spoken)


def _speak(
    rows: PricingRows,
    mine: npt.NDArray[np.int64],
    market: str,
    history: History,
    walked: Walked,
    force: InForce,
    config: PooledConfig,
    scoring: ScoringConfig,
    artifacts: ArtifactStore,
    spoken: _Spoken,
) -> None:
    """Decide tiers of one market's rows and let its priors speak."""
    folds = {prior_version(fold.prior_sha): fold for fold in force.folds.get(market, ())}
    live = next(reversed(folds), None)
    enough = DEFAULT_PARAMS.min_sales + GateConfig().pooled_min_sales
    for row in mine:
        key = rows.collection[row]
        reign = force.reigns.get(key)
        champion = reign.champion if reign else None
        if champion is not None and champion.tier != TIER_INDEX and champion.prior_version not in folds:
            champion = None
        if rows.sales_seen[row] < scoring.min_sales:
            spoken.reason[row] = REASON_FEW_SALES
        elif rows.days_since_sale[row] > scoring.silent_days:
            spoken.reason[row] = REASON_SILENT
        elif not np.isfinite(rows.base_log[row]):
            spoken.reason[row] = REASON_NO_FEATURES
        if champion is not None and champion.tier != TIER_INDEX:
            spoken.tier[row], spoken.version[row] = champion.tier, champion.prior_version
        else:
            alone = champion is not None or live is None or rows.sales_seen[row] < enough
            spoken.tier[row], spoken.version[row] = (TIER_INDEX if alone else TIER_POOLED), live
    prediction, scale = rows.base_log[mine].copy(), np.full(len(mine), np.nan)
    versions = spoken.version[mine]
    indexed = np.isfinite(rows.base_log[mine])
    for name, fold in folds.items():
        at = np.flatnonzero((versions == name) & indexed)
        if not len(at):
            continue
        seen = rows.features[mine[at]]
        prediction[at] += predict_gap(artifacts.get_model(fold.prior_sha), seen, scoring.threads)
        spoken.prior[mine[at]] = prediction[at]
        if fold.scale_sha is not None:
            premium = prediction[at] - rows.floor_log[mine[at]]
            scale[at] = predict_scale(artifacts.get_model(fold.scale_sha), seen, premium, scoring.threads)
    tier = premium_tier(prediction, rows.floor_log[mine])
    past = np.flatnonzero(history.market == market)
    half_80, half_90 = prequential_half_widths(
        np.concatenate(
            [history.frame.target_log[past] - walked.prediction_log[past], np.full(len(mine), np.nan)]
        ),
        np.concatenate([walked.scale[past], scale]),
        np.concatenate([walked.tier[past], tier]),
        np.concatenate([history.frame.known_at[past], np.full(len(mine), _NEVER)]),
        np.concatenate([history.frame.as_of[past], rows.as_of[mine]]),
        config.walk_forward.calibration,
    )
    spoken.half_80[mine], spoken.half_90[mine] = half_80[len(past) :], half_90[len(past) :]
    spoken.mean_log[mine] = np.asarray(force.mean_log.get(market, (0.0, 0.0, 0.0)))[tier]
    pooled = spoken.tier[mine] != TIER_INDEX
    spoken.log[mine[pooled]] = prediction[pooled]


def _index_alone(rows: PricingRows, force: InForce, spoken: _Spoken) -> None:
    """Where the index speaks alone: its mean, what rarity adds, and the intervals of young collections."""
    alone = spoken.tier == TIER_INDEX
    spoken.version[alone] = None
    spoken.half_80[alone], spoken.half_90[alone], spoken.mean_log[alone] = np.nan, np.nan, 0.0
    for market in np.unique(rows.market[alone].astype(str)):
        mine = np.flatnonzero(alone & (rows.market == market))
        told = force.index_alone.get(market, NOTHING_LEARNT)
        spoken.log[mine] = rows.base_log[mine]
        if told.rarity:
            spoken.log[mine] += rarity_effect(rows.rarity[mine], told.effects)
        if told.calibration is not None:
            tier = premium_tier(spoken.log[mine], rows.floor_log[mine])
            spoken.half_80[mine], spoken.half_90[mine] = told.calibration.half_widths(
                np.ones(len(mine)), tier
            )
            spoken.mean_log[mine] = np.asarray(told.calibration.mean_log)[tier]


def _residuals(
    con: duckdb.DuckDBPyConnection,
    rows: PricingRows,
    force: InForce,
    features: FeatureSet,
    artifacts: ArtifactStore,
    spoken: _Spoken,
) -> Float:
    """Weighted residuals of the local boosters that speak, 0 elsewhere, shape (n,)."""
    result = np.zeros(len(rows))
    wanted = np.flatnonzero((spoken.tier == TIER_OWN) & np.isfinite(rows.base_log))
    if not len(wanted):
        return result
    asked = pa.table(
        {
            "place": wanted,
            "sale_id": pa.array(rows.sale_id[wanted], pa.string()),
            "collection": pa.array(rows.collection[wanted], pa.string()),
            "token_id": pa.array(rows.token_id[wanted], pa.string()),
        }
    )
    quoted = "".join(f', f."{name}"' for name in features.local_names)
    con.register("_asked", asked)
    try:
        table = con.execute(
            f"""
            select a.place, a.collection, coalesce(t.trait_values, []) as trait_values {quoted}
            from _asked as a
            inner join backtest_features as f on a.sale_id = f.sale_id
            left join marts.dim_tokens as t on a.collection = t.collection and a.token_id = t.token_id
            order by a.collection, a.place
            """
        ).to_arrow_table()
    finally:
        con.unregister("_asked")
    table = table.combine_chunks()
    numbers, places = matrix(table, features.local_names), table["place"].to_numpy()
    codes, offsets, vocabulary = trait_codes(table["trait_values"])
    for key, first, last in collection_slices(table["collection"], sorted(set(rows.collection[wanted]))):
        champion = force.reigns[key].champion
        own = offsets[first : last + 1]
        traits = trait_matrix(codes[own[0] : own[-1]], own - own[0], key)
        booster = artifacts.get_model(str(champion.local_sha))
        inputs = LocalInputs(numbers[first:last], traits, vocabulary)
        result[places[first:last]] = champion.weight * predict_local(booster, inputs)
    return result


def _table(rows: PricingRows, force: InForce, spoken: _Spoken) -> pa.Table:
    valued = np.array([reason is None for reason in spoken.reason], bool)
    names = [force.reigns[key].version if key in force.reigns else f"{key}@0" for key in rows.collection]

    def eth(log: Float) -> pa.Array:
        return pa.array(np.exp(log), mask=~(valued & np.isfinite(log)))

    def text(values: Sequence[str | None] | Objects) -> pa.Array:
        return pa.array(
            [value if ok else None for value, ok in zip(values, valued, strict=True)], pa.string()
        )

    return pa.table(
        {
            "collection": pa.array(rows.collection, pa.string()),
            "token_id": pa.array(rows.token_id, pa.string()),
            "as_of": pa.array(rows.as_of).cast(pa.timestamp("us")),
            "estimate_eth": eth(spoken.log),
            "lower_eth": eth(spoken.log - spoken.half_80),
            "upper_eth": eth(spoken.log + spoken.half_80),
            "lower_90_eth": eth(spoken.log - spoken.half_90),
            "upper_90_eth": eth(spoken.log + spoken.half_90),
            "expected_eth": eth(spoken.log + spoken.mean_log),
            "index_eth": eth(rows.base_log),
            "prior_eth": eth(spoken.prior),
            "tier": pa.array(np.where(valued, spoken.tier, TIER_NONE), pa.string()),
            "no_value_reason": pa.array(spoken.reason, pa.string()),
            "model_version": text(names),
            "prior_version": text(spoken.version),
            "snapshot_id": np.zeros(len(rows), np.int64),
        }
    ).select(ESTIMATE_SCHEMA.names)
