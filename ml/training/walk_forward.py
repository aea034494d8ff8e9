"""Walk-forward predictions: every past sale priced by models that had only seen what was known before it.

Here: the folds, their fits, and the out-of-fold prediction, scale and interval of every past sale. Not here:
the models (`ml.models.prior`), the metrics (`ml.metrics`), or the decision which prior is in force
(`ml.training.pooled`).

Concept: fold k holds the sales whose as-of time lies between two cutoffs; its models are fitted on sales
*known* before the first of them. Fold 0, before there is anything to learn from, is the index alone. The live
prior is simply the newest fold: its sales lie in the future. These predictions have four uses: the
reported error, the residuals that local models learn, interval calibration, and the gate. A model whose file is
lost is fitted again as it was: on what was known before its fold's cutoff, with the settings of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor

from ml.intervals.calibration import CalibrationConfig, prequential_half_widths
from ml.metrics.formulas import premium_tier
from ml.models.frames import SaleFrame
from ml.models.prior import (
    MIN_POOLED_ROWS,
    PriorConfig,
    ScaleConfig,
    fit_prior,
    fit_scale,
    predict_gap,
    predict_scale,
)
from ml.models.tuned_settings import Adopted, settings_at
from ml.registry.artifacts import ArtifactLostError, ArtifactStore

Float = npt.NDArray[np.float64]

_DAY_US = 86_400_000_000
PRIORS_AT_ONCE = 2
"""Priors that are fitted at the same time where there is more than one thread: one fit alone leaves cores idle."""


@dataclass(frozen=True)
class WalkForwardConfig:
    """Where the folds lie and when a new one is due.

    Attributes:
        refits: Folds with a fitted prior when history is walked for the first time, in addition to the live one.
        first_share: Share of all sales before the first fit.
        refit_days: A live prior older than this, in days of as-of time, is refitted.
        refit_growth: A live prior is refitted when the sales since its cutoff exceed this share of those
            before.
        prior: Settings of the prior.
        scale: Settings of the scale model.
        calibration: Settings of the intervals.
        adopted: Settings of the prior that studies adopted, laid over `prior` from their decision on.
    """

    refits: int = 8
    first_share: float = 0.08
    refit_days: float = 30.0
    refit_growth: float = 0.25
    prior: PriorConfig = field(default_factory=PriorConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    adopted: tuple[Adopted, ...] = ()

    def prior_at(self, cutoff: int) -> PriorConfig:
        """Settings of the prior of a fold: none that was chosen on sales the fold has yet to price."""
        return settings_at(self.prior, self.adopted, cutoff - 1)


@dataclass(frozen=True)
class Fold:
    """One refit: models fitted on what was known before the cutoff, which price what comes after.

    Attributes:
        market: The market whose sales it was fitted on (see `ml.models.markets`).
        number: 1, 2, … in time order within the market.
        cutoff: Microseconds since the epoch, UTC; training rows have known_at < cutoff.
        rows: Sales known before the cutoff.
        prior_sha: Digest of the prior.
        scale_sha: Digest of the scale model, or None when there were too few out-of-fold errors for one.
    """

    market: str
    number: int
    cutoff: int
    rows: int
    prior_sha: str
    scale_sha: str | None


def prior_version(sha: str) -> str:
    """The short name of a prior: the first twelve characters of its digest."""
    return sha[:12]


@dataclass(frozen=True)
class Restored:
    """A fold whose files were lost and fitted again.

    Attributes:
        before: The fold as it was recorded.
        after: With the digests of the new files; the same bytes where the sales are the same.
        lost: What was lost, in words.
    """

    before: Fold
    after: Fold
    lost: tuple[str, ...]


@dataclass(frozen=True)
class WalkForward:
    """Out-of-fold predictions aligned with a `SaleFrame`; arrays of length n.

    Attributes:
        folds: The folds in time order; the last one is live.
        fold: Fold of each sale; 0 is the index alone.
        prediction_log: ln estimate.
        scale: Predicted typical |error| in log units; NaN in fold 0 and wherever no scale model existed yet.
        tier: Premium tier by prediction.
        half_80: Half-width of the 80 % interval in log units, NaN before the first calibration.
        half_90: Half-width of the 90 % interval in log units.
        restored: Folds whose files were lost and fitted again.
    """

    folds: tuple[Fold, ...]
    fold: npt.NDArray[np.int64]
    prediction_log: Float
    scale: Float
    tier: npt.NDArray[np.int8]
    half_80: Float
    half_90: Float
    restored: tuple[Restored, ...] = ()


def due_cutoffs(frame: SaleFrame, folds: Sequence[Fold], config: WalkForwardConfig) -> list[int]:
    """Cutoffs that need a fit now: all of them at first, later at most one at the end of what is known.

    Args:
        frame: All past sales.
        folds: Folds that exist already, with models of the current features and settings.
        config: Settings.

    Returns:
        Cutoffs in ascending order, microseconds; empty when the live prior is still fresh or there is too
        little data.
    """
    known = frame.known_at
    if len(known) < MIN_POOLED_ROWS:
        return []
    end = int(known[-1]) + 1
    if folds:
        live = folds[-1]
        since = int(len(known) - np.searchsorted(known, live.cutoff))
        stale = end - live.cutoff > config.refit_days * _DAY_US
        grown = since > config.refit_growth * live.rows
        tuned = config.prior_at(end) != config.prior_at(live.cutoff)
        return [end] if since and (stale or grown or tuned) else []
    shares = np.linspace(config.first_share, 1.0, config.refits + 1)[:-1]
    inner = {int(known[int(share * len(known))]) for share in shares}
    enough = [cutoff for cutoff in sorted(inner) if np.searchsorted(known, cutoff) >= MIN_POOLED_ROWS]
    return [*enough, end]


def walk_forward(
    frame: SaleFrame,
    artifacts: ArtifactStore,
    config: WalkForwardConfig,
    folds: Sequence[Fold] = (),
    on_fold: Callable[[Fold], None] | None = None,
    market: str = "all",
) -> WalkForward:
    """Price every past sale with models fitted before it, fitting the folds that are due.

    Args:
        frame: All past sales with features, sorted by (known_at, sale_id).
        artifacts: Where fitted models are kept and read from.
        config: Settings.
        folds: Folds fitted earlier under the same features and settings; they are reused, and fitted again only where
            their files are lost.
        on_fold: Called after each fit.
        market: Name of the market that the sales are from.

    Returns:
        Predictions for every row of `frame`, and all folds.
    """
    fitted: list[Fold] = []
    restored: list[Restored] = []
    fold = np.zeros(len(frame), np.int64)
    prediction = frame.base_log.copy()
    scale = np.full(len(frame), np.nan)
    pending: list[tuple[int, Fold | None]] = [(existing.cutoff, existing) for existing in folds]
    pending += [(cutoff, None) for cutoff in due_cutoffs(frame, folds, config)]
    fits = [
        _Fit(frame, prediction, int(np.searchsorted(frame.known_at, cutoff)), cutoff, config)
        for cutoff, _ in pending
    ]
    threads = config.prior.threads
    with ThreadPoolExecutor(min(PRIORS_AT_ONCE, threads), thread_name_prefix="prior") as pool:
        # A prior needs nothing of the folds before it. A scale model does: it is fitted meanwhile, in this thread.
        run = pool.map if threads > 1 else map
        priors = iter(run(_Fit.prior, fits[len(folds) :]))
        for position, (fit, (cutoff, existing)) in enumerate(zip(fits, pending, strict=True)):
            lost: tuple[str, ...] = ()
            if existing is None:
                models = _FoldModels(next(priors), fit.scale())
                stored = _store(models, market, position + 1, cutoff, fit.known, artifacts)
            else:
                models, stored, lost = _load(existing, artifacts, fit)
                restored += [Restored(existing, stored, lost)] if lost else []
            fitted.append(stored)
            if on_fold and (existing is None or lost):
                on_fold(stored)
            upper = pending[position + 1][0] if position + 1 < len(pending) else np.iinfo(np.int64).max
            rows = np.flatnonzero((frame.as_of >= cutoff) & (frame.as_of < upper))
            fold[rows] = position + 1
            features = frame.features[rows]
            prediction[rows] = frame.base_log[rows] + predict_gap(models.prior, features, threads)
            if models.scale is not None:
                premium = _premium(prediction[rows], frame.floor_log[rows])
                scale[rows] = predict_scale(models.scale, features, premium, config.scale.threads)
    tier = premium_tier(prediction, frame.floor_log)
    half_80, half_90 = prequential_half_widths(
        frame.target_log - prediction, scale, tier, frame.known_at, frame.as_of, config.calibration
    )
    return WalkForward(tuple(fitted), fold, prediction, scale, tier, half_80, half_90, tuple(restored))


@dataclass(frozen=True)
class _FoldModels:
    prior: CatBoostRegressor
    scale: CatBoostRegressor | None


@dataclass(frozen=True)
class _Fit:
    """The fits of one fold: on the first `known` rows, with the predictions of the folds before it."""

    frame: SaleFrame
    prediction: Float
    known: int
    cutoff: int
    config: WalkForwardConfig

    def prior(self) -> CatBoostRegressor:
        """The prior, with the settings in force at the cutoff."""
        frame, seen = self.frame, slice(0, self.known)
        settings = self.config.prior_at(self.cutoff)
        return fit_prior(frame.features[seen], frame.gap_log[seen], frame.collection[seen], settings)

    def scale(self) -> CatBoostRegressor:
        """The model of the errors that the folds before this one made."""
        frame, seen = self.frame, slice(0, self.known)
        premium = _premium(self.prediction[seen], frame.floor_log[seen])
        error = frame.target_log[seen] - self.prediction[seen]
        return fit_scale(frame.features[seen], premium, error, self.config.scale)


def _load(fold: Fold, artifacts: ArtifactStore, fit: _Fit) -> tuple[_FoldModels, Fold, tuple[str, ...]]:
    """A fold's models from their files; what is lost is fitted again and listed as text."""
    after, lost, scale = fold, [], None
    try:
        prior = artifacts.get_model(fold.prior_sha)
    except ArtifactLostError as error:
        lost.append(f"the prior of fold {fold.number}: {error}")
        prior = fit.prior()
        after = replace(after, prior_sha=artifacts.put_model(prior))
    if fold.scale_sha:
        try:
            scale = artifacts.get_model(fold.scale_sha)
        except ArtifactLostError as error:
            lost.append(f"the scale model of fold {fold.number}: {error}")
            scale = fit.scale()
            after = replace(after, scale_sha=artifacts.put_model(scale))
    return _FoldModels(prior, scale), after, tuple(lost)


def _store(
    models: _FoldModels, market: str, number: int, cutoff: int, known: int, artifacts: ArtifactStore
) -> Fold:
    scale_sha = artifacts.put_model(models.scale) if models.scale is not None else None
    return Fold(market, number, cutoff, known, artifacts.put_model(models.prior), scale_sha)


def _premium(prediction: Float, floor_log: Float) -> Float:
    """Predicted premium over the floor proxy; NaN (a value of its own to CatBoost) without a floor."""
    return prediction - floor_log
