"""The price-related differential that a perfect model would score on this market's noise.

Here: the simulation. Not here: PRD itself (`ml.metrics.formulas`).

Concept: PRD = mean r / (Σ estimate / Σ price) is 1 only for a model without error. A model that knows every true
median, on prices that scatter around it, already scores above 1, the more the prices scatter (docs/domain.md,
section 3). So take the model's estimates as true medians, draw the scatter from its residuals, centred, of sales of
the same predicted premium and of similar interval width, and score the truth against the drawn prices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.accuracy.config import MODEL, AccuracyConfig
from ml.accuracy.sample import Float, Int, Sample

_WIDTH_CLASSES = 5
"""Classes of interval width within which residuals are exchanged."""

_SMALLEST = 50
"""Below this many estimates a simulated floor shows nothing."""


def prd_noise_floor(sample: Sample, config: AccuracyConfig) -> dict[str, Any] | None:
    """PRD of a perfect median model under the noise of this sample.

    Args:
        sample: Sales with estimates.
        config: Settings.

    Returns:
        {prd, low, high}: mean, smallest and largest of the simulated markets; None for a small sample.
    """
    if len(sample) < max(_SMALLEST, 1) or config.noise_draws < 1:
        return None
    estimate = sample.logs[MODEL]
    stratum = _strata(sample)
    residual = _centred(sample.price_log - estimate, stratum)
    order = np.argsort(stratum, kind="stable")
    _, start, size = np.unique(stratum[order], return_index=True, return_counts=True)
    dense = np.unique(stratum, return_inverse=True)[1]
    generator = np.random.default_rng(config.seed)
    drawn = []
    for _ in range(config.noise_draws):
        pick = start[dense] + (generator.random(len(sample)) * size[dense]).astype(np.int64)
        noise = residual[order[pick]]
        ratio = np.exp(-noise)
        drawn.append(ratio.mean() * np.exp(estimate + noise).sum() / np.exp(estimate).sum())
    return {"prd": float(np.mean(drawn)), "low": float(min(drawn)), "high": float(max(drawn))}


def _strata(sample: Sample) -> Int:
    """Code of (predicted premium, class of interval width); no interval is a class of its own."""
    premium = sample.labels["premium_tier"].codes + 1
    low, high = sample.bounds[0.8]
    width = high - low
    known = np.isfinite(width)
    band = np.zeros(len(sample), np.int64)
    if known.any():
        edges = np.quantile(width[known], np.linspace(0, 1, _WIDTH_CLASSES + 1)[1:-1])
        band[known] = 1 + np.searchsorted(edges, width[known], side="right")
    return premium * (_WIDTH_CLASSES + 1) + band


def _centred(residual: Float, stratum: Int) -> Float:
    centred = residual.copy()
    for code in np.unique(stratum):
        rows = stratum == code
        centred[rows] -= np.median(residual[rows])
    return centred
