"""Accuracy metrics of automated valuation models, computed set-wise.

Here: the point metrics of docs/domain.md, section 3 for one sample of (estimate, price) pairs, the same metrics by
group, and the tiers of predicted premium that every report shows. Not here: where predictions come from
(`ml.training.walk_forward`), what they are compared with (`ml.metrics.baselines`), or how a report is put together
(`ml.accuracy`).

Concept: with r = estimate / price the absolute percentage error is |r − 1|. COD and PRD are the assessors'
measures of dispersion and price-related bias (IAAO Standard on Ratio Studies). A perfect median model with
this market's noise scores PRD 1.10 (docs/domain.md, section 3), so judge PRD against that floor.
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

PREMIUM_EDGES = (1.25, 2.0)
"""Edges of the tiers of predicted premium, as multiples of the trailing 20th percentile (docs/domain.md, section 3)."""

PREMIUM_TIERS = ("<1.25x", "1.25-2x", ">2x")


@dataclass(frozen=True)
class PointMetrics:
    """Accuracy of one sample of estimates; shares and errors are fractions (0.1 is 10 %).

    Attributes:
        n: Number of pairs with both an estimate and a price.
        mdape: Median absolute percentage error.
        mape: Mean absolute percentage error.
        p95: 95th percentile of the absolute percentage error.
        ppe10: Share of estimates within 10 % of the price.
        ppe20: Share of estimates within 20 % of the price.
        level: Median ratio estimate / price; 1 is unbiased.
        cod: Coefficient of dispersion, 100 · mean |r − median r| / median r.
        prd: Price-related differential, mean r / (Σ estimate / Σ price).
        fsd: Forecast standard deviation, sd(r − 1).
        mae_log: Mean |ln estimate − ln price|, the loss that gates compare because one outlier cannot dominate it.
    """

    n: int
    mdape: float
    mape: float
    p95: float
    ppe10: float
    ppe20: float
    level: float
    cod: float
    prd: float
    fsd: float
    mae_log: float

    def as_dict(self) -> dict[str, float | int]:
        """The metrics as a plain dict; NaN for an empty sample (`ml.accuracy.document.jsonable` makes it null)."""
        return asdict(self)


def point_metrics(estimate_log: FloatArray, price_log: FloatArray) -> PointMetrics:
    """Metrics of paired natural logs of estimates and prices (any one currency).

    Args:
        estimate_log: ln of the estimates, shape (n,); NaN means no estimate and is left out.
        price_log: ln of the realised prices, shape (n,).

    Returns:
        The metrics over pairs where both are finite; all NaN when there is none.
    """
    estimate_log, price_log = np.asarray(estimate_log, float), np.asarray(price_log, float)
    usable = np.isfinite(estimate_log) & np.isfinite(price_log)
    estimate_log, price_log = estimate_log[usable], price_log[usable]
    n = int(usable.sum())
    if n == 0:
        return PointMetrics(0, *([float("nan")] * 10))
    error_log = estimate_log - price_log
    ratio = np.exp(error_log)
    ape = np.abs(ratio - 1.0)
    level = float(np.median(ratio))
    weighted_level = float(np.exp(estimate_log).sum() / np.exp(price_log).sum())
    return PointMetrics(
        n=n,
        mdape=float(np.median(ape)),
        mape=float(ape.mean()),
        p95=float(np.quantile(ape, 0.95)),
        ppe10=float((ape <= 0.1).mean()),
        ppe20=float((ape <= 0.2).mean()),
        level=level,
        cod=float(100.0 * np.abs(ratio - level).mean() / level),
        prd=float(ratio.mean() / weighted_level),
        fsd=float(ratio.std(ddof=1)) if n > 1 else float("nan"),
        mae_log=float(np.abs(error_log).mean()),
    )


def premium_tier(estimate_log: FloatArray, floor_log: FloatArray) -> npt.NDArray[np.int8]:
    """Tier of predicted premium of each estimate: 0, 1, 2 for `PREMIUM_TIERS`.

    A missing floor proxy puts the estimate in the lowest tier: with nothing to compare to, no premium was
    predicted.

    Args:
        estimate_log: ln estimate, shape (n,).
        floor_log: ln of the trailing 20th percentile known at the same time, shape (n,).
    """
    premium = np.nan_to_num(np.asarray(estimate_log, float) - np.asarray(floor_log, float), nan=0.0)
    return np.searchsorted(np.log(PREMIUM_EDGES), premium, side="right").astype(np.int8)


def median_by_group(values: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """Median of `values` within each of `groups` dense group codes, by one sort; NaN for an empty group.

    Args:
        values: Shape (n,), finite.
        group: Dense codes 0 … groups−1, shape (n,).
        groups: Number of groups.

    Returns:
        Medians, shape (groups,).
    """
    order = np.lexsort((values, group))
    ordered = values[order]
    counts = np.bincount(group, minlength=groups)
    ends = np.cumsum(counts)
    starts = ends - counts
    medians = np.full(groups, np.nan)
    filled = counts > 0
    low = starts + (counts - 1) // 2
    high = starts + counts // 2
    medians[filled] = (ordered[low[filled]] + ordered[high[filled]]) / 2.0
    return medians


def mdape_by_group(
    estimate_log: FloatArray, price_log: FloatArray, group: IntArray, groups: int
) -> FloatArray:
    """Median absolute percentage error of each group, shape (groups,), over pairs with an estimate."""
    usable = np.isfinite(estimate_log) & np.isfinite(price_log)
    ape = np.abs(np.exp(estimate_log[usable] - price_log[usable]) - 1.0)
    return median_by_group(ape, group[usable], groups)


def coverage(error_log: FloatArray, half_width: FloatArray) -> float:
    """Share of |error| within its half-width (both in log) over rows with an interval; NaN if none has."""
    usable = np.isfinite(half_width) & np.isfinite(error_log)
    if not usable.any():
        return float("nan")
    return float((np.abs(error_log[usable]) <= half_width[usable]).mean())


def coverage_by_group(
    error_log: FloatArray, half_width: FloatArray, group: IntArray, groups: int
) -> FloatArray:
    """`coverage` of each group, shape (groups,); NaN for a group without intervals."""
    usable = np.isfinite(half_width) & np.isfinite(error_log)
    inside = usable & (np.abs(error_log) <= half_width)
    counts, hits = (np.bincount(group[rows], minlength=groups) for rows in (usable, inside))
    return np.divide(hits, counts, out=np.full(groups, np.nan), where=counts > 0)
