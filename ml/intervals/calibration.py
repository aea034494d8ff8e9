"""Intervals with the promised coverage in every tier: conformal quantiles by tier of predicted premium, kept current.

Here: from out-of-fold errors and their predicted scale to interval half-widths and to the correction from a median to
a mean. Not here: the scale model itself (`ml.models.prior`), the loop that moves the quantiles
(`ml.intervals.tracker`).

Concept: conformal prediction made conditional on a group (Mondrian). One quantile for everything covers
49 % instead of 80 % in the top tier (docs/domain.md, section 7); one quantile per tier of *predicted* premium holds in
each. A window of past sales holds on average and drifts with the market; here every sale moves its tier's quantile as
it becomes known, so that coverage also holds month by month (ADR 13). The errors must be out of fold and their scales
predicted before the sale, or the interval is too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.metrics.formulas import PREMIUM_TIERS

Float = npt.NDArray[np.float64]
Microseconds = npt.NDArray[np.int64]
Tier = npt.NDArray[np.int8]

TIERS = len(PREMIUM_TIERS)


LEVELS = (0.8, 0.9)
"""Promised coverages of the two intervals."""


@dataclass(frozen=True)
class CalibrationConfig:
    """Settings of the interval calibration, chosen on the first 60 % of the real sales (ADR 13).

    Attributes:
        step: Relative move of a tier's quantile for one sale, times what it missed by: a miss widens an 80 % interval
            by 0.8 × this, a hit narrows it by 0.2 × this. Larger follows a change of regime faster and is noisier.
        shared: Part of every move that the quantiles of the other tiers make too.
        batch_rows: Sales that become known at one time move their tier's quantile as far as this many at most.
        warm_rows: A tier's n-th sale moves it by at least 1 / (n + this), so that a new tier soon leaves the
            quantiles it began with, which are those of all tiers.
        min_rows: Scored sales before there is any interval.
        mean_rows: Latest sales of all tiers that the mean correction uses.
        mean_tier_rows: A tier with fewer sales than this among them goes back until it has as many.
        error_clip: Bound on errors that enter the mean correction, log units: one typo price must not dominate a sum.
    """

    step: float = 0.03
    shared: float = 0.1
    batch_rows: float = 10.0
    warm_rows: float = 20.0
    min_rows: int = 50
    mean_rows: int = 4000
    mean_tier_rows: int = 400
    error_clip: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """Quantiles of |error| / scale and mean corrections, one per premium tier.

    Attributes:
        quantile_80: Multiples of the scale that hold 80 % of the errors, per tier.
        quantile_90: Multiples of the scale that hold 90 % of the errors, per tier.
        mean_log: ln(mean price / median price) per tier: added to a log estimate before it enters a sum (Duan
            1983).
        rows: Sales that each tier's quantiles have learnt from.
    """

    quantile_80: tuple[float, ...]
    quantile_90: tuple[float, ...]
    mean_log: tuple[float, ...]
    rows: tuple[int, ...]

    def half_widths(self, scale: Float, tier: Tier) -> tuple[Float, Float]:
        """Half-widths of the 80 % and 90 % intervals in log units, shape (n,) each."""
        return np.asarray(self.quantile_80)[tier] * scale, np.asarray(self.quantile_90)[tier] * scale


def calibrate(
    error_log: Float,
    scale: Float,
    tier: Tier,
    config: CalibrationConfig,
    known_at: Microseconds | None = None,
) -> Calibration | None:
    """The state of the intervals after the newest sale: what an estimate made now is given.

    Args:
        error_log: ln price − ln estimate, out of fold, shape (n,), in the order the sales became known.
        scale: Predicted typical |error|, shape (n,); rows without one (NaN) are ignored.
        tier: Premium tier by prediction, shape (n,).
        config: Settings.
        known_at: Ascending, shape (n,), any unit: sales with the same value are learnt from together. Each row alone
            when None.

    Returns:
        The calibration, or None when fewer than `config.min_rows` rows have a scale.
    """
    times = np.arange(len(scale), dtype=np.int64) if known_at is None else known_at
    _, quantiles, rows = _track(error_log, scale, tier, times, np.empty(0, np.int64), times, config)
    if np.isnan(quantiles).any():
        return None
    corrections = mean_corrections(error_log, scale, tier, config)
    return Calibration(
        tuple(quantiles[:, 0].tolist()), tuple(quantiles[:, 1].tolist()), corrections, tuple(rows.tolist())
    )


def mean_corrections(
    error_log: Float, scale: Float, tier: Tier, config: CalibrationConfig
) -> tuple[float, ...]:
    """ln(mean price / median price) of the newest sales by tier (smearing, Duan 1983).

    Args:
        error_log: ln price − ln estimate, oldest first, shape (n,).
        scale: Rows without one (NaN) are ignored, shape (n,).
        tier: Premium tier by prediction, shape (n,).
        config: Settings; a tier with fewer than `min_rows` sales uses the correction of all tiers.
    """
    usable = np.flatnonzero(np.isfinite(scale) & np.isfinite(error_log))
    window = usable[-config.mean_rows :]
    corrections = []
    for number in range(TIERS):
        rows = window[tier[window] == number]
        if len(rows) < config.mean_tier_rows:
            rows = usable[tier[usable] == number][-config.mean_tier_rows :]
        chosen = window if len(rows) < config.min_rows else rows
        clipped = np.clip(error_log[chosen], -config.error_clip, config.error_clip)
        corrections.append(float(np.log(np.exp(clipped).mean())) if len(chosen) else 0.0)
    return tuple(corrections)


def prequential_half_widths(
    error_log: Float,
    scale: Float,
    tier: Tier,
    known_at: Microseconds,
    as_of: Microseconds,
    config: CalibrationConfig,
) -> tuple[Float, Float]:
    """Interval half-widths that each past sale would have been given before it happened.

    A sale sees exactly the sales with known_at < its as_of, each of them once; sales of one time or one
    transaction never see one another.

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
    quantiles, _, _ = _track(
        error_log, scale, tier, known_at, np.argsort(as_of, kind="stable"), as_of, config
    )
    return quantiles[:, 0] * scale, quantiles[:, 1] * scale


def quantiles_at(
    error_log: Float,
    scale: Float,
    tier: Tier,
    known_at: Microseconds,
    as_of: Microseconds,
    config: CalibrationConfig,
) -> Float:
    """The state of the intervals as of each of m times, for estimates made then.

    Args:
        error_log: ln price − ln estimate of past sales, out of fold, shape (n,), sorted by `known_at`.
        scale: Predicted typical |error|, shape (n,), NaN where none.
        tier: Premium tier by prediction, shape (n,).
        known_at: Ascending, shape (n,), any unit.
        as_of: Times, same unit, shape (m,); each sees the sales with known_at < its as_of.
        config: Settings.

    Returns:
        Multiples of the scale by time, tier and level, shape (m, tiers, 2); NaN before the first calibration.
    """
    m = len(as_of)
    never = np.full(m * TIERS, np.iinfo(np.int64).max)
    nothing = np.full(m * TIERS, np.nan)
    times = np.concatenate([known_at, np.repeat(as_of, TIERS)])
    asks = len(known_at) + np.argsort(times[len(known_at) :], kind="stable")
    quantiles, _, _ = _track(
        np.concatenate([error_log, nothing]),
        np.concatenate([scale, nothing]),
        np.concatenate([tier, np.tile(np.arange(TIERS, dtype=np.int8), m)]),
        np.concatenate([known_at, never]),
        asks,
        times,
        config,
    )
    return quantiles[len(known_at) :].reshape(m, TIERS, len(LEVELS))


def _track(
    error_log: Float,
    scale: Float,
    tier: Tier,
    known_at: Microseconds,
    asks: Microseconds,
    as_of: Microseconds,
    config: CalibrationConfig,
) -> tuple[Float, Float, Microseconds]:
    # Imported to calibrate: numba takes a third of a second, and who only reads intervals needs none.
    from ml.intervals.tracker import Steps, track

    steps = Steps(config.step, config.shared, config.batch_rows, config.warm_rows, config.min_rows)
    result: tuple[Float, Float, Microseconds] = track(
        np.abs(np.asarray(error_log, np.float64)),
        np.asarray(scale, np.float64),
        np.asarray(tier, np.int8),
        np.asarray(known_at, np.int64),
        np.asarray(asks, np.int64),
        np.asarray(as_of, np.int64),
        np.array(LEVELS),
        TIERS,
        steps,
    )
    return result
