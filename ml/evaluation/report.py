"""The accuracy report: how good the walk-forward predictions are, beside the baselines, and where.

Here: the last share of each sizeable collection, pooled and by collection, chain, premium tier and liquidity, as plain
dicts ready for JSON. Not here: predictions (`walk_forward`), drawing, or any decision.

Concept: a headline median is decided by the mass near the floor, so every figure stands beside the baselines, by tier
of predicted premium, with its n. A collection's vote counts once in `share_beating_best_simple`, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from ml.evaluation.baselines import BASELINES, SIMPLE_BASELINES, baseline_logs
from ml.evaluation.metrics import PREMIUM_TIERS, coverage, mdape_by_group, point_metrics, premium_tier
from ml.models.frames import SaleFrame

Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ReportConfig:
    """What counts as the test sample.

    Attributes:
        last_share: Share of each collection's sales, the newest ones, that are scored.
        min_sales: Collections with fewer sales are left out of the headline.
    """

    last_share: float = 0.3
    min_sales: int = 200


@dataclass(frozen=True)
class Predicted:
    """Out-of-fold predictions to report on, arrays of length n aligned with a `SaleFrame`.

    Attributes:
        prediction_log: ln estimate, NaN where there is none.
        half_80: Half-width of the 80 % interval in log units, NaN where there is none.
        half_90: Half-width of the 90 % interval in log units, NaN where there is none.
    """

    prediction_log: Float
    half_80: Float
    half_90: Float


def last_sales(frame: SaleFrame, config: ReportConfig) -> Bools:
    """Rows that are in the last share of a collection with enough sales, shape (n,)."""
    size = np.bincount(frame.collection, minlength=len(frame.collections))
    order = np.lexsort((frame.seq, frame.collection))
    starts = np.cumsum(size) - size
    position = np.empty(len(frame), np.int64)
    position[order] = np.arange(len(frame)) - starts[frame.collection[order]]
    n = size[frame.collection]
    return (n >= config.min_sales) & (position >= np.floor((1.0 - config.last_share) * n))


def accuracy_report(
    con: duckdb.DuckDBPyConnection,
    frame: SaleFrame,
    predicted: Predicted,
    config: ReportConfig | None = None,
) -> dict[str, Any]:
    """Accuracy of the predictions beside the baselines, for each chain and for all.

    Args:
        con: Connection on which `features` and `marts` can be addressed.
        frame: Past sales as `read_sales` gives them.
        predicted: Predictions aligned with `frame`.
        config: Settings.

    Returns:
        {"sample": …, "chains": {"all" | chain: {collections, sales, pooled: {model: metrics}, median_collection_mdape,
        share_beating: {baseline: share}, share_beating_best_simple, mdape_ratio_to_med_5, premium_tiers,
        collection_size, coverage}}}; values are numbers or None, never NaN.
    """
    config = config or ReportConfig()
    baselines = baseline_logs(con, frame.sale_id)
    test = last_sales(frame, config)
    chain_of = dict(con.execute('select collection, "chain" from marts.dim_collections').fetchall())
    chain = np.array([chain_of.get(name, "unknown") for name in frame.collections], dtype=object)[
        frame.collection
    ]
    chains: dict[str, Any] = {"all": _chain_report(frame, predicted, baselines, test)}
    for name in sorted(set(chain[test])):
        chains[name] = _chain_report(frame, predicted, baselines, test & (chain == name))
    sample = {"last_share": config.last_share, "min_sales": config.min_sales}
    document: dict[str, Any] = jsonable({"sample": sample, "chains": chains})
    return document


def _chain_report(
    frame: SaleFrame, predicted: Predicted, baselines: Mapping[str, Float], test: Bools
) -> dict[str, Any]:
    price = frame.target_log[test]
    logs = {
        "model": predicted.prediction_log[test],
        "index": frame.base_log[test],
        **{name: baselines[name][test] for name in BASELINES},
    }
    present, group = np.unique(frame.collection[test], return_inverse=True)
    pooled = {name: point_metrics(log, price).as_dict() for name, log in logs.items()}
    by_collection = {name: mdape_by_group(log, price, group, len(present)) for name, log in logs.items()}
    best_simple = (
        np.fmin.reduce([by_collection[name] for name in SIMPLE_BASELINES]) if len(present) else np.empty(0)
    )
    return {
        "collections": len(present),
        "sales": int(test.sum()),
        "pooled": pooled,
        "median_collection_mdape": {name: _median(values) for name, values in by_collection.items()},
        "share_beating": {
            name: _share(by_collection["model"] < by_collection[name]) for name in (*BASELINES, "index")
        },
        "share_beating_best_simple": _share(by_collection["model"] < best_simple),
        "mdape_ratio_to_med_5": pooled["model"]["mdape"] / pooled["med_5"]["mdape"]
        if len(price)
        else float("nan"),
        "premium_tiers": _by_tier(logs, price, frame, predicted, test),
        "collection_size": _by_size(frame, logs, price, test),
        "coverage": _coverage(price, predicted, test, np.ones(len(price), bool)),
    }


def _by_tier(
    logs: Mapping[str, Float], price: Float, frame: SaleFrame, predicted: Predicted, test: Bools
) -> dict[str, Any]:
    tier = premium_tier(logs["model"], frame.floor_log[test])
    result = {}
    for number, name in enumerate(PREMIUM_TIERS):
        rows = tier == number
        result[name] = {
            "model": point_metrics(logs["model"][rows], price[rows]).as_dict(),
            "med_5_mdape": point_metrics(logs["med_5"][rows], price[rows]).mdape,
            "coverage": _coverage(price, predicted, test, rows),
        }
    return result


def _by_size(frame: SaleFrame, logs: Mapping[str, Float], price: Float, test: Bools) -> dict[str, Any]:
    size = np.bincount(frame.collection, minlength=len(frame.collections))[frame.collection][test]
    result = {}
    for low, high in ((0, 500), (500, 2000), (2000, None)):
        rows = (size >= low) & (size < (high or np.inf))
        result[f"{low}+" if high is None else f"{low}-{high - 1}"] = {
            name: point_metrics(logs[name][rows], price[rows]).mdape for name in ("model", "med_5", "index")
        } | {"n": int(rows.sum())}
    return result


def _coverage(price: Float, predicted: Predicted, test: Bools, rows: Bools) -> dict[str, float | int]:
    error = (price - predicted.prediction_log[test])[rows]
    half_80, half_90 = predicted.half_80[test][rows], predicted.half_90[test][rows]
    with_interval = np.isfinite(half_80)
    return {
        "n": int(with_interval.sum()),
        "coverage_80": coverage(error, half_80),
        "coverage_90": coverage(error, half_90),
        "half_width_80_log": _median(half_80),
        "half_width_90_log": _median(half_90),
    }


def _median(values: Float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _share(flags: Bools) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def jsonable(value: Any) -> Any:  # noqa: ANN401 - a JSON document is any nesting of dicts, lists and scalars
    """The same nesting with NaN and infinity as None, which JSON can carry."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
