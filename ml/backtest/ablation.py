"""What each ingredient of the pooled model is worth, on sales earlier than any test.

Here: the variants (features taken away, settings changed), their walk-forward on a development window, the table. Not
here: the model (`ml.models.prior`), the report that shows the table (`ml.accuracy`).

Concept: a choice made on the sample that is then published is too optimistic. Every row here is measured on the
middle of each sizeable collection; the last 30 %, which the report is about, is never read. Only the point
forecast counts, so no scale model is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.features.schema import FEATURES
from ml.metrics.formulas import mdape_by_group, point_metrics
from ml.models.frames import SaleFrame
from ml.models.prior import PriorConfig, fit_prior, predict_gap
from ml.training.walk_forward import WalkForwardConfig, due_cutoffs

Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Variant:
    """One change to the recipe.

    Attributes:
        name: As the table shows it.
        without: Feature groups of `ml.features.schema` that are taken away.
        changes: Settings of `PriorConfig` that differ.
    """

    name: str
    without: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DevelopmentWindow:
    """Which sales of a collection a variant is judged on: places as shares of its sales, oldest first.

    Attributes:
        start: First share; sales before it are only trained on.
        end: Last share; what lies after is the report's.
        min_sales: Collections with fewer sales are only trained on.
    """

    start: float = 0.35
    end: float = 0.7
    min_sales: int = 200


GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))

VARIANTS: tuple[Variant, ...] = (
    Variant("full recipe"),
    *(Variant(f"without {group.replace('_', ' ')}", (group,)) for group in GROUPS),
    Variant("index features alone", tuple(group for group in GROUPS if group != "index")),
    Variant("median instead of the 47th percentile", (), {"quantile": 0.5}),
    Variant("every sale weighs the same in its collection", (), {"noise_floor": 1e6}),
    Variant("a collection weighs at most 300 sales", (), {"rows_per_collection": 300}),
    Variant("half the trees", (), {"iterations": 200}),
    Variant("deeper trees (6)", (), {"depth": 6}),
)


def ablate(
    frame: SaleFrame,
    baselines: Mapping[str, Float],
    names: tuple[str, ...],
    config: WalkForwardConfig | None = None,
    window: DevelopmentWindow | None = None,
    variants: Iterable[Variant] = VARIANTS,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Walk each variant forward over one market and judge it on the development window.

    Args:
        frame: Past sales of one market, sorted by (known_at, sale_id).
        baselines: Baseline name to ln ETH, aligned with `frame`; "med_5" is the one that is beaten or not.
        names: Feature names, the columns of `frame.features`.
        config: Folds and the settings that the variants change.
        window: Which sales count.
        variants: What to try.
        on_row: Called with each row as it is measured.

    Returns:
        One row per baseline and variant: name, n, collections, mdape_pooled, mdape_median_collection,
        mdape_mean_collection, ppe20, mae_log, share_beating_med_5. Shares and errors are fractions.

    Raises:
        ValueError: When the window holds no sale.
    """
    config, window = config or WalkForwardConfig(), window or DevelopmentWindow()
    judged = _judged(frame, window)
    if not judged.any():
        raise ValueError(
            f"expected collections with at least {window.min_sales} sales to judge variants on, found none among "
            f"{len(frame)} sales; ingest more history"
        )
    rows = []

    def report(name: str, prediction: Float) -> None:
        rows.append(_row(name, prediction, frame, baselines["med_5"], judged))
        if on_row:
            on_row(rows[-1])

    report("median of the last 5", baselines["med_5"])
    report("hedonic index alone", frame.base_log)
    groups = {feature.name: feature.group for feature in FEATURES}
    for variant in variants:
        kept = np.array([groups[name] not in variant.without for name in names])
        report(variant.name, _predict(frame, kept, replace(config.prior, **variant.changes), config))
    return rows


def _judged(frame: SaleFrame, window: DevelopmentWindow) -> Bools:
    counts = np.bincount(frame.collection, minlength=len(frame.collections))
    order = np.lexsort((frame.seq, frame.collection))
    starts = np.cumsum(counts) - counts
    place = np.empty(len(frame), np.int64)
    place[order] = np.arange(len(frame)) - starts[frame.collection[order]]
    size = counts[frame.collection]
    share = place / np.maximum(size, 1)
    return (size >= window.min_sales) & (share >= window.start) & (share < window.end)


def _predict(frame: SaleFrame, kept: Bools, settings: PriorConfig, config: WalkForwardConfig) -> Float:
    """Out-of-fold predictions of a variant; the index before the first fit."""
    features = frame.features[:, kept]
    prediction = frame.base_log.copy()
    cutoffs = due_cutoffs(frame, (), config)
    for position, cutoff in enumerate(cutoffs[:-1]):
        known = int(np.searchsorted(frame.known_at, cutoff))
        rows = np.flatnonzero((frame.as_of >= cutoff) & (frame.as_of < cutoffs[position + 1]))
        model = fit_prior(features[:known], frame.gap_log[:known], frame.collection[:known], settings)
        prediction[rows] = frame.base_log[rows] + predict_gap(model, features[rows], settings.threads)
    return prediction


def _row(name: str, prediction: Float, frame: SaleFrame, med_5: Float, judged: Bools) -> dict[str, Any]:
    price = frame.target_log[judged]
    present, group = np.unique(frame.collection[judged], return_inverse=True)
    metrics = point_metrics(prediction[judged], price)
    own = mdape_by_group(prediction[judged], price, group, len(present))
    theirs = mdape_by_group(med_5[judged], price, group, len(present))
    return {
        "name": name,
        "n": metrics.n,
        "collections": len(present),
        "mdape_pooled": metrics.mdape,
        "mdape_median_collection": float(np.median(own)),
        "mdape_mean_collection": float(own.mean()),
        "ppe20": metrics.ppe20,
        "mae_log": metrics.mae_log,
        "share_beating_med_5": float((own < theirs).mean()),
    }
