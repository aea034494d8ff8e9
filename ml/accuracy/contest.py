"""Collection by collection: in how many Assay beats a baseline, and how large their errors are.

Here: figures per collection, the shares of collections beaten, MAPE buckets. Not here: pooled figures
(`ml.accuracy.figures`).

Concept: pooled figures belong to the largest collections; here each collection counts once. A collection with
fewer estimates than the minimum is not counted: a block of 20 sales under one constant model shows MAPEs from 9 to
40 % (docs/domain.md, section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.accuracy.bootstrap import ClusterBootstrap, interval, wilson
from ml.accuracy.config import MAPE_EDGES, MODEL, AccuracyConfig
from ml.accuracy.figures import inside_interval
from ml.accuracy.sample import Bools, Float, Int, Sample, absolute_error
from ml.metrics.baselines import SIMPLE_BASELINES
from ml.metrics.formulas import mdape_by_group, point_metrics

BEST_SIMPLE = "best_simple"
"""The best of the three simple baselines in each collection, chosen with hindsight: the hardest of them."""


def collection_errors(sample: Sample) -> dict[str, Float]:
    """MdAPE of every series in every collection, over the sales that the model answered.

    Returns:
        Series name, and "best_simple", to MdAPE by collection code; NaN where there is nothing to compare.
    """
    answered = sample.rows(sample.answered)
    groups = len(answered.collection.names)
    errors: dict[str, Float] = {
        name: mdape_by_group(log, answered.price_log, answered.collection.codes, groups).astype(np.float64)
        for name, log in answered.logs.items()
    }
    errors[BEST_SIMPLE] = np.fmin.reduce([errors[name] for name in SIMPLE_BASELINES])
    return errors


def contest(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    """In what share of the collections the model's MdAPE is below each rival's.

    Returns:
        {collections, too_small, median_mdape: {series: median over collections}, beating: {rival: {n, wins, share,
        share_ci (Wilson), p (Wilcoxon signed-rank, paired by collection, two-sided), median_gain}}}.
    """
    estimates = np.bincount(sample.collection.codes[sample.answered], minlength=len(sample.collection.names))
    voters = estimates >= config.min_collection_sales
    errors = {name: values[voters] for name, values in collection_errors(sample).items()}
    return {
        "collections": int(voters.sum()),
        "too_small": int(((estimates > 0) & ~voters).sum()),
        "median_mdape": {name: _median(values) for name, values in errors.items()},
        "beating": {
            name: _paired(errors[MODEL], values, config) for name, values in errors.items() if name != MODEL
        },
    }


def _paired(model: Float, rival: Float, config: AccuracyConfig) -> dict[str, Any]:
    both = np.isfinite(model) & np.isfinite(rival)
    gain = rival[both] - model[both]
    wins, n = int((gain > 0).sum()), len(gain)
    return {
        "n": n,
        "wins": wins,
        "share": wins / n if n else None,
        "share_ci": wilson(wins, n, config.confidence),
        "p": _signed_rank(gain),
        "median_gain": _median(gain),
    }


def _signed_rank(gain: Float) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that gains are centred at 0; None without a gain or loss."""
    if not np.any(gain):
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(gain).pvalue)


def per_collection(sample: Sample, config: AccuracyConfig) -> list[dict[str, Any]]:
    """Figures of each collection with enough estimates, the largest first.

    Returns:
        Rows of {collection, chain, n, estimates, hit_rate, metrics of the model, mdape_ci, mape_ci (blocks of one
        day), rivals: {name: MdAPE}, gain_ci (median of 5 − model), coverage: {"80", "90"}, beats_best_simple}.
    """
    errors = collection_errors(sample)
    codes, answered = sample.collection.codes, sample.answered
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(sample.collection.names)))
    found = []
    for code, name in enumerate(sample.collection.names):
        rows = order[(ends[code - 1] if code else 0) : ends[code]]
        if int(answered[rows].sum()) < config.min_collection_sales:
            continue
        part = sample.rows(_mask(rows, len(sample)))
        found.append(
            {
                "collection": name,
                **_one_collection(part, {k: float(v[code]) for k, v in errors.items()}, config),
            }
        )
    return sorted(found, key=lambda row: (-row["n"], row["collection"]))


def _one_collection(part: Sample, errors: dict[str, float], config: AccuracyConfig) -> dict[str, Any]:
    chain = part.labels["chain"]
    answered = part.rows(part.answered)
    draw = ClusterBootstrap(answered.day, config.draws, config.seed)
    error = absolute_error(answered.logs[MODEL], answered.price_log)
    rival = absolute_error(answered.logs["med_5"], answered.price_log)
    medians, others = draw.quantile(error), draw.quantile(rival)
    return {
        "chain": chain.names[chain.codes[0]] if chain.codes[0] >= 0 else None,
        "n": len(part),
        "estimates": len(answered),
        "hit_rate": len(answered) / len(part),
        **{
            k: v
            for k, v in point_metrics(answered.logs[MODEL], answered.price_log).as_dict().items()
            if k != "n"
        },
        "mdape_ci": interval(medians, config.confidence),
        "mape_ci": interval(draw.mean(error), config.confidence),
        "rivals": {name: value for name, value in errors.items() if name != MODEL},
        "gain_ci": interval(others - medians, config.confidence) if len(others) == len(medians) else None,
        "coverage": {f"{100 * level:.0f}": _mean(inside_interval(answered, level)) for level in part.bounds},
        "beats_best_simple": errors[MODEL] < errors[BEST_SIMPLE]
        if np.isfinite(errors[BEST_SIMPLE])
        else None,
    }


def mape_buckets(rows: list[dict[str, Any]], too_small: int) -> dict[str, Any]:
    """How many collections have a MAPE in each bucket.

    Args:
        rows: Result of `per_collection`.
        too_small: Collections with estimates but too few of them.

    Returns:
        {buckets: [{bucket, collections, certain (those whose interval lies in the bucket), estimates}],
        too_small}.
    """
    buckets = []
    low = 0.0
    for high in MAPE_EDGES:
        inside = [row for row in rows if low <= row["mape"] < high]
        certain = [
            row for row in inside if row["mape_ci"] and row["mape_ci"][0] >= low and row["mape_ci"][1] < high
        ]
        name = f">{100 * low:.0f} %" if np.isinf(high) else f"{100 * low:.0f}–{100 * high:.0f} %"
        buckets.append(
            {
                "bucket": name,
                "collections": len(inside),
                "certain": len(certain),
                "estimates": sum(row["estimates"] for row in inside),
            }
        )
        low = high
    return {"buckets": buckets, "too_small": too_small}


def without_largest(sample: Sample, count: int) -> tuple[list[str], Bools]:
    """The `count` collections with the most sales, and which rows are not theirs."""
    sizes = np.bincount(sample.collection.codes, minlength=len(sample.collection.names))
    largest = np.argsort(-sizes, kind="stable")[:count]
    names = [sample.collection.names[code] for code in largest if sizes[code]]
    return names, ~np.isin(sample.collection.codes, largest)


def _mask(rows: Int, n: int) -> Bools:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


def _median(values: Float) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _mean(values: Float) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
