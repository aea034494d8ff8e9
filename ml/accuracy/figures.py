"""The figures of one group of sales: errors, intervals, hit rate, always with those of the baselines.

Here: what stands in one row of every table. Not here: which groups there are (`ml.accuracy.document`), figures by
collection (`ml.accuracy.contest`).

Concept: model and baselines are scored on the same sales, those the model answered, and a difference of medians
is drawn in the same bootstrap draws: it can be certain where two separate intervals overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.accuracy.bootstrap import ClusterBootstrap, interval
from ml.accuracy.config import MODEL, AccuracyConfig
from ml.accuracy.noise_floor import prd_noise_floor
from ml.accuracy.sample import Float, Sample, absolute_error
from ml.metrics.formulas import point_metrics


def group_figures(sample: Sample, config: AccuracyConfig, *, noise_floor: bool = True) -> dict[str, Any]:
    """Everything about one group of sales.

    Args:
        sample: The group, with and without estimates.
        config: Settings; `draws=0` leaves the bootstrap out.
        noise_floor: Whether PRD's noise floor is simulated too.

    Returns:
        {n, estimates, hit_rate, collections, series: {name: metrics + mdape_ci, mape_ci, ppe20_ci and, for the
        rivals, mdape_gain_ci (rival − model)}, coverage: {"80": …}, prd_floor}; fractions, None where
        nothing could be computed after `jsonable`.
    """
    answered = sample.rows(sample.answered)
    draw = bootstrap_of(answered, config)
    series: dict[str, Any] = {}
    medians: dict[str, Float] = {}
    for name, log in answered.logs.items():
        error = absolute_error(log, answered.price_log)
        medians[name] = draw.quantile(error)
        series[name] = {
            **point_metrics(log, answered.price_log).as_dict(),
            "mdape_ci": interval(medians[name], config.confidence),
            "mape_ci": interval(draw.mean(error), config.confidence),
            "ppe20_ci": interval(draw.mean(_within(error, 0.2)), config.confidence),
        }
        if name != MODEL and len(medians[name]) == len(medians[MODEL]):
            series[name]["mdape_gain_ci"] = interval(medians[name] - medians[MODEL], config.confidence)
    ratio = np.exp(answered.logs[MODEL] - answered.price_log)
    series[MODEL]["level_ci"] = interval(draw.quantile(ratio), config.confidence)
    figures: dict[str, Any] = {
        "n": len(sample),
        "estimates": len(answered),
        "hit_rate": len(answered) / len(sample) if len(sample) else None,
        "collections": len(np.unique(sample.collection.codes)),
        "series": series,
        "coverage": {
            f"{100 * level:.0f}": coverage_figures(answered, level, draw, config) for level in sample.bounds
        },
    }
    if noise_floor:
        figures["prd_floor"] = prd_noise_floor(answered, config)
    return figures


def coverage_figures(
    sample: Sample, level: float, draw: ClusterBootstrap, config: AccuracyConfig
) -> dict[str, Any]:
    """How often the price fell inside the interval, and how wide it was.

    Returns:
        {n, share, share_ci, width (median of (upper − lower) / estimate), half_width_log (median)}.
    """
    inside = inside_interval(sample, level)
    known = np.isfinite(inside)
    low, high = (bound[known] for bound in sample.bounds[level])
    estimate = sample.logs[MODEL][known]
    return {
        "n": int(known.sum()),
        "share": float(inside[known].mean()) if known.any() else None,
        "share_ci": interval(draw.mean(inside), config.confidence),
        "width": _median(np.exp(high - estimate) - np.exp(low - estimate)),
        "half_width_log": _median((high - low) / 2.0),
    }


def inside_interval(sample: Sample, level: float) -> Float:
    """1 where the price lay inside the interval, 0 where not, NaN where there was none."""
    low, high = sample.bounds[level]
    known = np.isfinite(low) & np.isfinite(high)
    return np.where(known, ((low <= sample.price_log) & (sample.price_log <= high)).astype(float), np.nan)


def bootstrap_of(sample: Sample, config: AccuracyConfig) -> ClusterBootstrap:
    """Draws of collections, or of (collection, day) blocks where there are too few collections to draw from."""
    few = len(np.unique(sample.collection.codes)) < config.min_clusters
    return ClusterBootstrap(sample.blocks() if few else sample.collection.codes, config.draws, config.seed)


def _within(error: Float, limit: float) -> Float:
    return np.where(np.isfinite(error), (error <= limit).astype(float), np.nan)


def _median(values: Float) -> float | None:
    return float(np.median(values)) if len(values) else None
