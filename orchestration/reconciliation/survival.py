"""How long a segment of rows stays equal to its origin: time to its first difference, and a bound for the next days.

Here: the estimate from checks, pure and vectorised. Not here: which segments are checked
(`orchestration.reconciliation.rechecks`), and checking.

A segment is one table, source and day of arrival. A check finds its rows equal or not, so the time of a difference is
known to lie between two checks (interval-censored), or after the last one (right-censored). Ages are days in the
present life of the segment (`orchestration.reconciliation.lives`). F(t): the share that differs by age t.

- Without a difference, the rule of three: with 95 % confidence at most 3 differences in all exposed segment-days.
- With fewer than `ENOUGH`, the exact bound of a constant rate by the chi-square distribution, of which that is a case.
- With more, a Weibull model of interval-censored times (lifelines), whose rate may rise or fall with age, and the bound
  of its cumulative hazard by the delta method on a logarithmic scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import chi2, norm

CONFIDENCE = 0.95
ENOUGH = 20
"""Differences from which on the rate may depend on age."""

_LEAST_AGE = 1e-6


class Bounds(Protocol):
    """What is known of F for some segments: of one source (`Curve`), or of several (`CurvesBySource`)."""

    def upper(self, since: np.ndarray, until: np.ndarray) -> np.ndarray:
        """See `Curve.upper`."""


@dataclass(frozen=True)
class Lives:
    """Lives of segments, as arrays of one length.

    Attributes:
        clean_until: Age of the last check that found no difference, days; 0 without one.
        found_by: Age of the check that found one, days; infinite: none did.
    """

    clean_until: np.ndarray
    found_by: np.ndarray

    @property
    def differences(self) -> int:
        """Lives that ended with a difference."""
        return int(np.isfinite(self.found_by).sum())

    @property
    def exposure_days(self) -> float:
        """Segment-days that were certainly without a difference."""
        return float(self.clean_until.sum())


@dataclass(frozen=True)
class Weibull:
    """A fitted model: cumulative hazard (t / scale) ** shape, with the covariance of (scale, shape)."""

    scale: float
    shape: float
    covariance: np.ndarray


@dataclass(frozen=True)
class Curve:
    """What is known of F.

    Attributes:
        lives: From what it was estimated.
        rate: Bound of a constant rate per segment-day; infinite without any exposure.
        weibull: The model, where there were enough differences.
        confidence: With which the bounds hold.
    """

    lives: Lives
    rate: float
    weibull: Weibull | None
    confidence: float = CONFIDENCE

    @property
    def method(self) -> str:
        """Which rule gives the bound."""
        if self.weibull is not None:
            return "weibull"
        return "constant_rate" if self.lives.differences else "rule_of_three"

    def upper(self, since: np.ndarray, until: np.ndarray) -> np.ndarray:
        """Upper bound of the probability of a difference by age `until`, in segments that had none at age `since`.

        Args:
            since: Age of the last clean check, days.
            until: Age to look at, days; at least `since`.
        """
        if self.weibull is None:
            with np.errstate(invalid="ignore"):
                hazard = np.where(until > since, self.rate * (until - since), 0.0)
        else:
            hazard = _hazard_bound(self.weibull, since, until, self.confidence)
        return -np.expm1(-hazard)


@dataclass(frozen=True)
class CurvesBySource:
    """A curve for each source, for segments in a given order.

    Attributes:
        curves: Source → curve.
        sources: The source of each segment.
    """

    curves: Mapping[str, Curve]
    sources: np.ndarray

    def upper(self, since: np.ndarray, until: np.ndarray) -> np.ndarray:
        """See `Curve.upper`; arrays in the order of `sources`. Of a source without a curve nothing is known."""
        bound = np.ones(len(since))
        for source, curve in self.curves.items():
            own = self.sources == source
            bound[own] = curve.upper(since[own], until[own])
        return bound


def fit_by_source(lives: Mapping[str, Lives], confidence: float = CONFIDENCE) -> dict[str, Curve]:
    """Estimate F for each source alone: one that is often wrong must not hide among others.

    The bounds hold for all sources together with the confidence: each has its part of the doubt.
    """
    each = 1 - (1 - confidence) / max(len(lives), 1)
    return {source: fit(own, each) for source, own in lives.items()}


def fit(lives: Lives, confidence: float = CONFIDENCE) -> Curve:
    """Estimate F from lives."""
    found, exposure = lives.differences, lives.exposure_days
    rate = float(chi2.ppf(confidence, 2 * found + 2) / 2 / exposure) if exposure > 0 else np.inf
    return Curve(lives, rate, _fit_weibull(lives) if found >= ENOUGH else None, confidence)


def _fit_weibull(lives: Lives) -> Weibull | None:
    """The model by maximum likelihood; None where it has none, such as when all differences have one age."""
    import warnings

    from lifelines import WeibullFitter
    from lifelines.exceptions import ApproximationWarning, ConvergenceError

    pairs = np.column_stack([np.maximum(lives.clean_until, _LEAST_AGE), lives.found_by])
    known = pairs[(lives.clean_until > 0) | np.isfinite(lives.found_by)]
    # One row for all lives with the same ages: daily checks leave few different ones.
    distinct, weights = np.unique(known, axis=0, return_counts=True)
    try:
        with warnings.catch_warnings():
            # Its covariance would be a guess.
            warnings.simplefilter("error", ApproximationWarning)
            fitted = WeibullFitter().fit_interval_censoring(
                distinct[:, 0], distinct[:, 1], weights=weights.astype(float), show_progress=False
            )
    except (ConvergenceError, ApproximationWarning):
        return None
    covariance = np.asarray(fitted.variance_matrix_)
    if not np.isfinite(covariance).all() or (np.diag(covariance) < 0).any():
        return None
    return Weibull(float(fitted.lambda_), float(fitted.rho_), covariance)


def _hazard_bound(model: Weibull, since: np.ndarray, until: np.ndarray, confidence: float) -> np.ndarray:
    """Upper bound of the hazard between two ages, by the delta method for its logarithm."""
    parts = []
    for age in (np.maximum(since, _LEAST_AGE), np.maximum(until, _LEAST_AGE)):
        hazard = (age / model.scale) ** model.shape
        by_scale, by_shape = -model.shape / model.scale * hazard, hazard * np.log(age / model.scale)
        parts.append((hazard, by_scale, by_shape))
    (h0, s0, r0), (h1, s1, r1) = parts
    hazard = h1 - h0
    gradient = np.stack([s1 - s0, r1 - r0], axis=-1)
    error = np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", gradient, model.covariance, gradient), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = hazard * np.exp(norm.ppf(confidence) * error / hazard)
    return np.where(hazard > 0, bound, 0.0)
