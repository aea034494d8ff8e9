"""Whether the stated uncertainty was true: by tier and month, by grade, and where in the interval prices fell.

Here: coverage cells with their tests, the bands of the interval, the histogram of signed errors. Not here: how
intervals are made (`ml.intervals.calibration`).

Concept: a cell of 100 sales at 80 % is off by more than 2 points half of the time without any fault of the model.
A cell outside the tolerance is therefore called wrong only when luck does not explain it: by the exact binomial
test, with Benjamini and Hochberg's correction for the number of cells tested. The binomial takes sales as
independent; `p_clustered` widens the noise for sales of one collection and day that miss together.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from ml.accuracy.config import MODEL, AccuracyConfig
from ml.accuracy.figures import inside_interval
from ml.accuracy.sample import Float, Int, Sample

FALSE_DISCOVERIES = 0.05
"""Of the cells called wrong, this share may be wrongly called."""

BANDS = (
    ("below the 90 % interval", 0.05),
    ("between the lower bounds", 0.05),
    ("80 % interval, below the estimate", 0.40),
    ("80 % interval, above the estimate", 0.40),
    ("between the upper bounds", 0.05),
    ("above the 90 % interval", 0.05),
)
"""The six bands that two nested intervals and an estimate cut, with the share of prices each should hold."""


def coverage_cells(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    """Coverage by tier of predicted premium and month, and which cells miss.

    Returns:
        {cells: [{premium_tier, month, level, n, share, within_tolerance, p_binomial, p_clustered, explained_by_noise}],
        summary: {level: {cells, outside, beyond_noise, too_small}}}. A cell within the tolerance is explained.
    """
    cells: list[dict[str, Any]] = []
    summary: dict[str, dict[str, int]] = {}
    for level in sample.bounds:
        found, small = _cells(sample, level, config)
        _judge(found)
        cells += found
        summary[f"{100 * level:.0f}"] = {
            "cells": len(found),
            "outside": sum(not cell["within_tolerance"] for cell in found),
            "beyond_noise": sum(not cell["explained_by_noise"] for cell in found),
            "too_small": small,
        }
    return {"cells": cells, "summary": summary}


def _cells(sample: Sample, level: float, config: AccuracyConfig) -> tuple[list[dict[str, Any]], int]:
    from scipy.stats import binomtest

    inside, block = inside_interval(sample, level), sample.blocks()
    found, small = [], 0
    tiers, months = sample.labels["premium_tier"], sample.labels["month"]
    for tier, tier_name in enumerate(tiers.names):
        for month, month_name in enumerate(months.names):
            rows = (tiers.codes == tier) & (months.codes == month) & np.isfinite(inside)
            n = int(rows.sum())
            if n < config.min_cell_sales:
                small += n > 0
                continue
            hits = int(inside[rows].sum())
            found.append(
                {
                    "premium_tier": tier_name,
                    "month": month_name,
                    "level": level,
                    "n": n,
                    "share": hits / n,
                    "within_tolerance": abs(hits / n - level) <= config.coverage_tolerance,
                    "p_binomial": float(binomtest(hits, n, level).pvalue),
                    "p_clustered": _clustered_p(inside[rows], block[rows], level),
                }
            )
    return found, small


def _clustered_p(inside: Float, block: Int, level: float) -> float | None:
    """Two-sided p of the same question with blocks as the independent units (normal approximation)."""
    groups = np.unique(block, return_inverse=True)[1]
    spread = float(np.sqrt((np.bincount(groups, inside - inside.mean()) ** 2).sum())) / len(inside)
    if spread == 0.0:
        return None
    return float(2.0 * NormalDist().cdf(-abs(float(inside.mean()) - level) / spread))


def _judge(cells: list[dict[str, Any]]) -> None:
    """Mark the cells outside the tolerance that noise does not explain (Benjamini and Hochberg, 1995)."""
    ordered = sorted(cells, key=lambda cell: cell["p_binomial"])
    accepted = [
        rank
        for rank, cell in enumerate(ordered, start=1)
        if cell["p_binomial"] <= FALSE_DISCOVERIES * rank / len(ordered)
    ]
    last = max(accepted, default=0)
    for rank, cell in enumerate(ordered, start=1):
        cell["explained_by_noise"] = cell["within_tolerance"] or rank > last


def interval_bands(sample: Sample) -> list[dict[str, Any]]:
    """Share of prices in each of `BANDS`: the probability integral transform at the quantiles we publish.

    Returns:
        Rows of {band, nominal, share, n}, over sales with both intervals; share None without any.
    """
    (low_80, high_80), (low_90, high_90) = sample.bounds[0.8], sample.bounds[0.9]
    cuts = np.column_stack([low_90, low_80, sample.logs[MODEL], high_80, high_90])
    known = np.isfinite(cuts).all(axis=1)
    band = (sample.price_log[known, None] > cuts[known]).sum(axis=1)
    n = int(known.sum())
    count = np.bincount(band, minlength=len(BANDS))
    return [
        {"band": name, "nominal": nominal, "share": count[i] / n if n else None, "n": n}
        for i, (name, nominal) in enumerate(BANDS)
    ]


def signed_errors(sample: Sample, bins: int = 40, limit: float = 1.0) -> dict[str, Any]:
    """Histogram of estimate / price − 1, clipped at ±`limit`.

    Returns:
        {edges, share}: bins + 1 edges as fractions, share of the estimates in each bin.
    """
    log = sample.logs[MODEL]
    error = np.clip(np.expm1(log - sample.price_log), -limit, limit)
    count, edges = np.histogram(error[np.isfinite(error)], bins=bins, range=(-limit, limit))
    share = count / max(int(count.sum()), 1)
    return {"edges": edges.tolist(), "share": share.tolist()}
