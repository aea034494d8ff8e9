"""The accuracy report: how good the walk-forward predictions are, beside the baselines, and where.

Here: the last share of each sizeable collection, pooled and by collection, chain, premium tier and size, as
plain dicts ready for JSON. Not here: predictions (`walk_forward`), drawing, or any decision.

Concept: a headline median is decided by the mass near the floor, so every figure stands beside the baselines,
by tier of predicted premium, with its n. A collection's vote counts once in `share_beating_best_simple`,
however large it is. A sale judged by a local booster that had not seen it is reported with that booster; no
figure was chosen after the fact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from ml.evaluation.baselines import BASELINES, SIMPLE_BASELINES
from ml.evaluation.metrics import PREMIUM_TIERS, coverage, mdape_by_group, point_metrics, premium_tier
from ml.models.collection_reader import BASELINE_COLUMNS
from ml.models.matrix import column, group_codes
from ml.models.tables import table_exists

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
class Holdout:
    """The sales a report is about; arrays of length n.

    Attributes:
        chain: Chain names.
        collection: Dense collection codes.
        size: Sales of the row's collection.
        price_log: ln price.
        logs: Model, index and baselines: name to ln estimate.
        floor_log: ln floor proxy.
        half_80: Half-width of the 80 % interval in log units, NaN where none.
        half_90: Half-width of the 90 % interval in log units, NaN where none.
    """

    chain: npt.NDArray[np.object_]
    collection: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    price_log: Float
    logs: dict[str, Float]
    floor_log: Float
    half_80: Float
    half_90: Float

    def __len__(self) -> int:
        return len(self.price_log)

    def rows(self, chosen: Bools) -> Holdout:
        """The same for a part of the rows."""
        logs = {name: values[chosen] for name, values in self.logs.items()}
        return Holdout(
            self.chain[chosen],
            self.collection[chosen],
            self.size[chosen],
            self.price_log[chosen],
            logs,
            self.floor_log[chosen],
            self.half_80[chosen],
            self.half_90[chosen],
        )


def read_holdout(con: duckdb.DuckDBPyConnection, config: ReportConfig) -> Holdout:
    """The last share of every collection with enough sales, from predictions.prior_walk_forward."""
    local = "predictions.local_walk_forward"
    with_local = table_exists(con, local)
    prediction = "coalesce(l.prediction_log, w.prediction_log)" if with_local else "w.prediction_log"
    join = f"left join {local} as l on w.sale_id = l.sale_id" if with_local else ""
    table = con.execute(
        f"""
        with placed as (
            select *, count(*) over (partition by collection) as size,
                row_number() over (partition by collection order by seq) - 1 as place
            from predictions.prior_walk_forward
        )

        select coalesce(c."chain", 'unknown') as "chain", w.collection, w.size, w.target_log,
            {prediction} as model, w.prediction_log as prior, w.base_log, w.floor_log, w.med_30_log,
            w.med_5_log, w.last_index_log, w.half_80, w.half_90
        from placed as w
        left join marts.dim_collections as c on w.collection = c.collection
        {join}
        where w.size >= $min_sales and w.place >= floor((1.0 - $last_share) * w.size)
        order by w.collection, w.seq
        """,
        {"min_sales": config.min_sales, "last_share": config.last_share},
    ).to_arrow_table()
    codes, _ = group_codes(table["collection"])
    return Holdout(
        chain=np.array(table["chain"].to_pylist(), dtype=object),
        collection=codes,
        size=np.asarray(table["size"].to_numpy(), np.int64),
        price_log=column(table, "target_log"),
        logs={
            "model": column(table, "model"),
            "prior": column(table, "prior"),
            "index": column(table, "base_log"),
            **{name: column(table, source) for name, source in BASELINE_COLUMNS.items()},
        },
        floor_log=column(table, "floor_log"),
        half_80=column(table, "half_80"),
        half_90=column(table, "half_90"),
    )


def accuracy_report(con: duckdb.DuckDBPyConnection, config: ReportConfig | None = None) -> dict[str, Any]:
    """Accuracy of the walk-forward predictions beside the baselines, for each chain and for all.

    Args:
        con: Connection on which `predictions` and `marts` can be addressed.
        config: Settings.

    Returns:
        {"sample": {last_share, min_sales}, "chains": {"all" | chain: {collections, sales, pooled: {model:
        metrics}, median_collection_mdape, share_beating: {baseline: share of collections},
        share_beating_best_simple, mdape_ratio_to_med_5, premium_tiers, collection_size, coverage}}}. "model"
        is the full pipeline, "prior" the pooled part of it. Values are numbers or None, never NaN.
    """
    config = config or ReportConfig()
    sample = read_holdout(con, config)
    chains: dict[str, Any] = {"all": _chain_report(sample)}
    for name in sorted(set(sample.chain)):
        chains[name] = _chain_report(sample.rows(sample.chain == name))
    settings = {"last_share": config.last_share, "min_sales": config.min_sales}
    document: dict[str, Any] = jsonable({"sample": settings, "chains": chains})
    return document


def _chain_report(sample: Holdout) -> dict[str, Any]:
    price = sample.price_log
    present, group = np.unique(sample.collection, return_inverse=True)
    pooled = {name: point_metrics(log, price).as_dict() for name, log in sample.logs.items()}
    by_collection = {
        name: mdape_by_group(log, price, group, len(present)) for name, log in sample.logs.items()
    }
    model = by_collection["model"]
    best_simple = np.fmin.reduce([by_collection[name] for name in SIMPLE_BASELINES])
    rivals = (*BASELINES, "index", "prior")
    ratio = pooled["model"]["mdape"] / pooled["med_5"]["mdape"] if len(sample) else math.nan
    return {
        "collections": len(present),
        "sales": len(sample),
        "pooled": pooled,
        "median_collection_mdape": {name: _median(values) for name, values in by_collection.items()},
        "share_beating": {name: _share(model < by_collection[name]) for name in rivals},
        "share_beating_best_simple": _share(model < best_simple),
        "mdape_ratio_to_med_5": ratio,
        "premium_tiers": _by_tier(sample),
        "collection_size": _by_size(sample),
        "coverage": _coverage(sample),
    }


def _by_tier(sample: Holdout) -> dict[str, Any]:
    tier = premium_tier(sample.logs["model"], sample.floor_log)
    result = {}
    for number, name in enumerate(PREMIUM_TIERS):
        part = sample.rows(tier == number)
        result[name] = {
            "model": point_metrics(part.logs["model"], part.price_log).as_dict(),
            "med_5_mdape": point_metrics(part.logs["med_5"], part.price_log).mdape,
            "coverage": _coverage(part),
        }
    return result


def _by_size(sample: Holdout) -> dict[str, Any]:
    result = {}
    for low, high in _SIZES:
        part = sample.rows((sample.size >= low) & (sample.size < high))
        result[f"{low}+" if math.isinf(high) else f"{low}-{int(high) - 1}"] = {
            "n": len(part),
            **{name: point_metrics(part.logs[name], part.price_log).mdape for name in _SHOWN},
        }
    return result


_SIZES: tuple[tuple[int, float], ...] = ((0, 500), (500, 2000), (2000, math.inf))
_SHOWN = ("model", "prior", "index", "med_5")


def _coverage(sample: Holdout) -> dict[str, float | int]:
    error = sample.price_log - sample.logs["model"]
    return {
        "n": int(np.isfinite(sample.half_80).sum()),
        "coverage_80": coverage(error, sample.half_80),
        "coverage_90": coverage(error, sample.half_90),
        "half_width_80_log": _median(sample.half_80),
        "half_width_90_log": _median(sample.half_90),
    }


def _median(values: npt.NDArray[np.floating]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _share(flags: Bools) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def jsonable(value: Any) -> Any:
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
