"""Intervals that hold where they are read: conformal quantiles by tier of predicted premium.

Here: from out-of-fold errors and their predicted scale to interval half-widths and to the correction from a
median to a mean. Not here: the scale model itself (`prior`).

Concept: split conformal prediction made conditional on a group (Mondrian). One quantile for everything covers
49 % instead of 80 % in the top tier (DOMAIN.md §7); one quantile per tier of *predicted* premium holds in
each. The errors must be out of fold and their scales predicted before the sale, or the interval flatters
itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation.metrics import PREMIUM_TIERS

Float = npt.NDArray[np.float64]
Tier = npt.NDArray[np.int8]

TIERS = len(PREMIUM_TIERS)


@dataclass(frozen=True)
class CalibrationConfig:
    """Settings of the interval calibration (DOMAIN.md §7).

    Attributes:
        window_rows: Latest pooled sales that a calibration looks at.
        tier_rows: A tier with fewer sales than this in the window looks back until it has as many.
        min_rows: A tier with fewer sales than this in all of history borrows the quantiles of all tiers.
        refresh_rows: Sales between two recalibrations in walk-forward evaluation.
        error_clip: Bound on errors that enter the mean correction, log units: one typo price must not own a
            sum.
    """

    window_rows: int = 4000
    tier_rows: int = 400
    min_rows: int = 50
    refresh_rows: int = 2000
    error_clip: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """Quantiles of |error| / scale and mean corrections, one per premium tier.

    Attributes:
        quantile_80: Multiples of the scale that hold 80 % of the errors, per tier.
        quantile_90: Multiples of the scale that hold 90 % of the errors, per tier.
        mean_log: ln(mean price / median price) per tier: added to a log estimate before it enters a sum (Duan
            1983).
        rows: Sales behind each tier's quantiles.
    """

    quantile_80: tuple[float, ...]
    quantile_90: tuple[float, ...]
    mean_log: tuple[float, ...]
    rows: tuple[int, ...]

    def half_widths(self, scale: Float, tier: Tier) -> tuple[Float, Float]:
        """Half-widths of the 80 % and 90 % intervals in log units, shape (n,) each."""
        return np.asarray(self.quantile_80)[tier] * scale, np.asarray(self.quantile_90)[tier] * scale


def conformal_quantile(scores: Float, coverage: float) -> float:
    """The finite-sample conformal quantile: the ceil((n+1)·coverage)-th smallest score (Vovk et al. 2005).

    With too few scores for the level the largest one is returned: the widest interval the data can support.
    """
    rank = min(int(np.ceil((len(scores) + 1) * coverage)), len(scores))
    return float(np.partition(scores, rank - 1)[rank - 1])


def calibrate(error_log: Float, scale: Float, tier: Tier, config: CalibrationConfig) -> Calibration | None:
    """Calibrate on out-of-fold errors, oldest first.

    Args:
        error_log: ln price − ln estimate, shape (n,), in the order the sales became known.
        scale: Predicted typical |error|, shape (n,); rows without one (NaN) are ignored.
        tier: Premium tier by prediction, shape (n,).
        config: Settings.

    Returns:
        The calibration, or None when fewer than `config.min_rows` rows have a scale.
    """
    usable = np.flatnonzero(np.isfinite(scale) & np.isfinite(error_log))
    if len(usable) < config.min_rows:
        return None
    window = usable[-config.window_rows :]
    everything = np.abs(error_log[window]) / scale[window]
    quantiles_80, quantiles_90, corrections, counts = [], [], [], []
    for number in range(TIERS):
        rows = window[tier[window] == number]
        if len(rows) < config.tier_rows:
            rows = usable[tier[usable] == number][-config.tier_rows :]
        borrowed = len(rows) < config.min_rows
        scores = everything if borrowed else np.abs(error_log[rows]) / scale[rows]
        clipped = np.clip(error_log[window if borrowed else rows], -config.error_clip, config.error_clip)
        quantiles_80.append(conformal_quantile(scores, 0.8))
        quantiles_90.append(conformal_quantile(scores, 0.9))
        corrections.append(float(np.log(np.exp(clipped).mean())))
        counts.append(len(rows))
    return Calibration(tuple(quantiles_80), tuple(quantiles_90), tuple(corrections), tuple(counts))


def prequential_half_widths(
    error_log: Float,
    scale: Float,
    tier: Tier,
    known_at: npt.NDArray[np.int64],
    as_of: npt.NDArray[np.int64],
    config: CalibrationConfig,
) -> tuple[Float, Float]:
    """Interval half-widths that each past sale would have been given before it happened.

    Sales are taken in blocks by `as_of`; a block uses the calibration of the sales known before its first
    instant.

    Args:
        error_log: ln price − ln estimate, out of fold, shape (n,), sorted by `known_at`.
        scale: Predicted typical |error|, shape (n,), NaN where none.
        tier: Premium tier by prediction, shape (n,).
        known_at: Ascending, shape (n,), any unit.
        as_of: Same unit, shape (n,).
        config: Settings.

    Returns:
        Half-widths at 80 % and 90 % in log units, shape (n,) each, NaN before the first calibration.
    """
    half_80, half_90 = np.full(len(scale), np.nan), np.full(len(scale), np.nan)
    by_as_of = np.argsort(as_of, kind="stable")
    lookback = config.window_rows + TIERS * 10 * config.tier_rows
    for start in range(0, len(by_as_of), config.refresh_rows):
        block = by_as_of[start : start + config.refresh_rows]
        visible = int(np.searchsorted(known_at, as_of[block[0]], side="left"))
        past = slice(max(0, visible - lookback), visible)
        calibration = calibrate(error_log[past], scale[past], tier[past], config)
        if calibration is not None:
            half_80[block], half_90[block] = calibration.half_widths(scale[block], tier[block])
    return half_80, half_90
