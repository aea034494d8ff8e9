"""Sums: what the tokens that one wallet sold were estimated at, against what it got.

Here: portfolio figures. Not here: the mean correction that makes an estimate summable (`ml.models`).

Concept: an estimate is a median and medians do not add up: a sum needs the mean (`expected_eth`). The table shows
both, so that what the correction buys is seen. Errors of one wallet share collections and days, so they shrink
more slowly with its size than independent errors would.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.accuracy.bootstrap import ClusterBootstrap, interval
from ml.accuracy.config import MODEL, AccuracyConfig
from ml.accuracy.sample import Float, Int, Sample

PORTFOLIO_SIZES = ((5, 10), (10, 20), (20, 50), (50, 10**9))
"""Groups of portfolios by number of sales: from, below."""


def portfolio_figures(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    """Error of sums per seller, for sellers with enough sales.

    Args:
        sample: Sales; those without estimate or mean are left out.
        config: Settings.

    Returns:
        {portfolios, sales, series: {expected | model | med_5: {sum_ratio, sum_ratio_ci, mdape_of_sums,
        mdape_of_sums_ci, within_20}}, sizes: [{sales, portfolios, mdape_of_sums, sum_ratio}]}.
    """
    sums = {"expected": sample.expected_log, MODEL: sample.logs[MODEL], "med_5": sample.logs["med_5"]}
    usable = (sample.seller >= 0) & np.all([np.isfinite(log) for log in sums.values()], axis=0)
    seller = sample.seller[usable]
    present, dense, size = np.unique(seller, return_inverse=True, return_counts=True)
    big = size >= config.portfolio_sales
    price = _sum_by(dense, sample.price_log[usable], len(present))[big]
    totals = {name: _sum_by(dense, log[usable], len(present))[big] for name, log in sums.items()}
    size = size[big]
    draw = ClusterBootstrap(np.arange(len(price)), config.draws, config.seed)
    return {
        "portfolios": len(price),
        "sales": int(size.sum()),
        "series": {name: _sums(total, price, draw, config) for name, total in totals.items()},
        "sizes": _sizes(totals["expected"], price, size),
    }


def _sum_by(group: Int, log: Float, groups: int) -> Float:
    return np.bincount(group, np.exp(log), groups).astype(np.float64)


def _sums(total: Float, price: Float, draw: ClusterBootstrap, config: AccuracyConfig) -> dict[str, Any]:
    error = np.abs(total / price - 1.0)
    return {
        "sum_ratio": float(total.sum() / price.sum()) if len(price) else None,
        "sum_ratio_ci": interval(draw.ratio(total, price), config.confidence),
        "mdape_of_sums": float(np.median(error)) if len(price) else None,
        "mdape_of_sums_ci": interval(draw.quantile(error), config.confidence),
        "within_20": float((error <= 0.2).mean()) if len(price) else None,
    }


def _sizes(total: Float, price: Float, size: Int) -> list[dict[str, Any]]:
    found = []
    for low, high in PORTFOLIO_SIZES:
        rows = (size >= low) & (size < high)
        if rows.any():
            found.append(
                {
                    "sales": f"{low}+" if high >= 10**9 else f"{low}–{high - 1}",
                    "portfolios": int(rows.sum()),
                    "mdape_of_sums": float(np.median(np.abs(total[rows] / price[rows] - 1.0))),
                    "sum_ratio": float(total[rows].sum() / price[rows].sum()),
                }
            )
    return found
