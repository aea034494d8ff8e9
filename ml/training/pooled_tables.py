"""Writing what a pooled training found.

Here: predictions.prior_walk_forward, ops.prior_folds, ops.interval_calibration, ops.rarity_effect, in one transaction.
Not here: finding it (`ml.training.pooled`).
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.metrics.baselines import BASELINES
from ml.models.index_fallback import index_version
from ml.registry.mirror import record
from ml.tables.writing import append, replace, timestamp
from ml.training.pooled import PooledOutcome
from ml.training.walk_forward import prior_version

Float = npt.NDArray[np.float64]


def record_pooled(con: duckdb.DuckDBPyConnection, outcome: PooledOutcome) -> None:
    """Write the walk-forward, folds, calibration, rarity effect and decision, in the caller's transaction."""
    replace(con, "predictions.prior_walk_forward", _walk_forward_rows(outcome))
    folds = outcome.walk_forward.folds
    replace(
        con,
        "ops.prior_folds",
        pa.table(
            {
                "market": pa.array([fold.market for fold in folds], pa.string()),
                "fold": pa.array([fold.number for fold in folds], pa.int64()),
                "cutoff": pa.array([fold.cutoff for fold in folds], pa.int64()).cast(pa.timestamp("us")),
                "sales": pa.array([fold.rows for fold in folds], pa.int64()),
                "prior_version": pa.array([prior_version(fold.prior_sha) for fold in folds], pa.string()),
                "prior_sha": pa.array([fold.prior_sha for fold in folds], pa.string()),
                "scale_sha": pa.array([fold.scale_sha for fold in folds], pa.string()),
                "feature_fingerprint": pa.repeat(outcome.feature_fingerprint, len(folds)),
                "config_fingerprint": pa.repeat(outcome.config_fingerprint, len(folds)),
            }
        ),
    )
    _record_calibration(con, outcome)
    record(con, [], outcome.decisions)


def _record_calibration(con: duckdb.DuckDBPyConnection, outcome: PooledOutcome) -> None:
    if len(outcome.frame) == 0:
        return
    watermark = timestamp(int(outcome.frame.known_at[-1]))
    alone = {
        index_version(market): fallback.calibration for market, fallback in outcome.index_fallback.items()
    }
    made = {**alone, **outcome.calibrations}
    for version, calibration in made.items():
        if calibration is None:
            continue
        con.execute(
            "delete from ops.interval_calibration where prior_version = $1 and calibrated_at = $2",
            [version, watermark],
        )
        tiers = len(calibration.rows)
        rows = pa.table(
            {
                "prior_version": pa.array([version] * tiers, pa.string()),
                "calibrated_at": pa.array([watermark] * tiers, pa.timestamp("us")),
                "premium_tier": pa.array(range(tiers), pa.int64()),
                "quantile_80": pa.array(calibration.quantile_80, pa.float64()),
                "quantile_90": pa.array(calibration.quantile_90, pa.float64()),
                "mean_log": pa.array(calibration.mean_log, pa.float64()),
                "sales": pa.array(calibration.rows, pa.int64()),
            }
        )
        append(con, "ops.interval_calibration", rows)
    effects = [
        (market, number, effect, sales)
        for market, fallback in outcome.index_fallback.items()
        for number, (effect, sales) in enumerate(fallback.rarity)
    ]
    rows = pa.table(
        {
            "market": pa.array([row[0] for row in effects], pa.string()),
            "rarity_bin": pa.array([row[1] for row in effects], pa.int64()),
            "effect_log": pa.array([row[2] for row in effects], pa.float64()),
            "sales": pa.array([row[3] for row in effects], pa.int64()),
        }
    )
    replace(con, "ops.rarity_effect", rows)


def _walk_forward_rows(outcome: PooledOutcome) -> pa.Table:
    frame, result = outcome.frame, outcome.walk_forward
    collections = pa.array(frame.collections, pa.string())
    columns: dict[str, Any] = {
        "sale_id": frame.sale_id,
        "collection": collections.take(pa.array(frame.collection)),
        "seq": frame.seq,
        "known_at": pa.array(frame.known_at).cast(pa.timestamp("us")),
        "fold": result.fold,
        "prior_version": pa.array(outcome.prior_versions, pa.string()),
        "target_log": frame.target_log,
        "base_log": frame.base_log,
        "prediction_log": result.prediction_log,
        "premium_tier": result.tier.astype(np.int64),
        "scale": _nullable(result.scale),
        "half_80": _nullable(result.half_80),
        "half_90": _nullable(result.half_90),
        "floor_log": _nullable(frame.floor_log),
        **{f"{name}_log": _nullable(outcome.baselines[name]) for name in BASELINES if name != "p20_50"},
    }
    return pa.table(columns)


def _nullable(values: Float) -> pa.Array:
    """NaN as null."""
    return pa.array(values, mask=np.isnan(values))
