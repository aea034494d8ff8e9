"""The pooled prior of a backtest: refitted at each cutoff as production would have, on what was known then.

Here: one refit of every market, and the out-of-fold predictions that follow from the folds so far. Not here: local
boosters (`ml.backtest.local`) and prices (`ml.backtest.pricing`).

Concept: a refit is `walk_forward` on a shortened past. It finds the folds of the refits before, sees that a fit is due
and fits one; the gate of the pooled stage may turn it away, and then the fold before stays in force. Before the
first refit the walk lays its usual folds over the past, so that there are out-of-fold errors to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml.backtest.data import History, first_rows
from ml.intervals.calibration import calibrate
from ml.metrics.formulas import premium_tier
from ml.models.frames import SaleFrame
from ml.registry.artifacts import ArtifactStore
from ml.states import Action
from ml.training.pooled import PooledConfig
from ml.training.pooled_decisions import judge_recipe
from ml.training.walk_forward import Fold, prior_version, walk_forward

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Walked:
    """Out-of-fold predictions of all of history by the folds so far, aligned with its frame.

    Attributes:
        fold: Fold of each sale within its market; 0 is the index alone.
        version: Prior behind each prediction, None in fold 0.
        prediction_log: ln estimate.
        scale: Predicted typical |error|, NaN where none.
        tier: Premium tier by prediction.
        half_80: Half-width of the 80 % interval, NaN where none.
    """

    fold: npt.NDArray[np.int64]
    version: npt.NDArray[np.object_]
    prediction_log: Float
    scale: Float
    tier: npt.NDArray[np.int8]
    half_80: Float


def refit(
    history: History,
    folds: dict[str, list[Fold]],
    cutoff: int,
    config: PooledConfig,
    artifacts: ArtifactStore,
) -> tuple[dict[str, list[Fold]], list[str]]:
    """Refit every market's prior on the sales known before the cutoff.

    Args:
        history: The past; rows known from the cutoff on are not read.
        folds: Folds of each market so far.
        cutoff: Microseconds; the new fold prices sales from here on.
        config: Settings of the pooled stage.
        artifacts: Where models are kept.

    Returns:
        The folds with the new ones, and what was decided, in words.
    """
    always_due = replace(config.walk_forward, refit_days=0.0)
    result, notes = dict(folds), []
    known = history.known_before(cutoff)
    frame, market = first_rows(history.frame, known), history.market[:known]
    for name in history.markets:
        mask = market == name
        own = frame.rows(mask)
        before = result.get(name, [])
        if not len(own):
            continue
        walked = walk_forward(own, artifacts, always_due, before, None, name)
        if len(walked.folds) == len(before):
            continue
        baselines = {key: values[:known][mask] for key, values in history.baselines.items()}
        decision = judge_recipe(own, walked, baselines, config.gate_rows, "backtest")
        notes.append(f"{name}: {decision.action}, {decision.reason}")
        fitted = list(walked.folds)
        # The live fold was fitted now, though the last sale it saw may be older: it is in force from now on.
        fitted[-1] = replace(fitted[-1], cutoff=cutoff)
        result[name] = fitted[:-1] if decision.action == Action.REJECTED else fitted
    return result, notes


def predict_history(
    history: History, folds: dict[str, list[Fold]], config: PooledConfig, artifacts: ArtifactStore
) -> Walked:
    """Price all of history with the folds so far; each sale by models that were fitted before it."""
    n = len(history.frame)
    walked = Walked(
        np.zeros(n, np.int64),
        np.full(n, None, dtype=object),
        history.frame.base_log.copy(),
        np.full(n, np.nan),
        premium_tier(history.frame.base_log, history.frame.floor_log),
        np.full(n, np.nan),
    )
    never_due = replace(config.walk_forward, refit_days=np.inf, refit_growth=np.inf)
    for name in history.markets:
        if not (own := folds.get(name)):
            continue
        mask = history.market == name
        result = walk_forward(history.frame.rows(mask), artifacts, never_due, own, None, name)
        versions = np.array([None, *(prior_version(fold.prior_sha) for fold in own)], dtype=object)
        walked.version[mask] = versions[result.fold]
        for field in ("fold", "prediction_log", "scale", "tier", "half_80"):
            getattr(walked, field)[mask] = getattr(result, field)
    return walked


def mean_correction(
    history: History, walked: Walked, market: str, cutoff: int, config: PooledConfig
) -> Sequence[float] | None:
    """ln(mean price / median price) by premium tier, from the sales of a market known before the cutoff.

    None when there are too few of them.
    """
    known = history.known_before(cutoff)
    rows = np.flatnonzero(history.market[:known] == market)
    frame: SaleFrame = history.frame
    calibration = calibrate(
        frame.target_log[rows] - walked.prediction_log[rows],
        walked.scale[rows],
        walked.tier[rows],
        config.walk_forward.calibration,
        frame.known_at[rows],
    )
    return calibration.mean_log if calibration is not None else None
