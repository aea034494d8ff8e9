"""The accuracy of a ledger as one document that JSON can carry.

Here: which samples and groups are reported, and the order of the document. Not here: the figures
(`ml.accuracy.figures`, `ml.accuracy.contest`, `ml.accuracy.calibration`, `ml.accuracy.portfolio`) or how they are
shown (`ml.text.markdown`, `ml.accuracy.plots`).

Concept: two samples. The headline is the newest share of the clean sales of every collection with enough of them:
fixed in advance, comparable between versions. The window is every clean sale of the ledger, thin collections and
cold starts included. Sales that the rules do not call clean are scored too, apart: a report that drops what it
cannot explain would prove nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ml.accuracy.calibration import coverage_cells, interval_bands, signed_errors
from ml.accuracy.config import LEARNING_EDGES, MODEL, AccuracyConfig
from ml.accuracy.contest import contest, mape_buckets, per_collection, without_largest
from ml.accuracy.figures import group_figures
from ml.accuracy.ledger_reader import LedgerSample, read_ledger
from ml.accuracy.portfolio import portfolio_figures
from ml.accuracy.sample import Bools, Labels, Sample

FORMAT = 1
"""Version of the document's shape; a reader of stored documents checks it first."""

DIMENSIONS = (
    "premium_tier",
    "sales_seen",
    "days_since_sale",
    "listed",
    "tier",
    "grade",
    "month",
)
"""What sales are grouped by, in the order of the report."""

_DIGITS = 6


def accuracy_of(ledger: pa.Table | Path, config: AccuracyConfig | None = None) -> dict[str, Any]:
    """How good the estimates of a ledger were.

    Args:
        ledger: One row per sale with the estimate frozen before it (`ml.ledger.ledger.LEDGER_SCHEMA`), or its
            Parquet file.
        config: Settings.

    Returns:
        {format, settings, data, headline, window, not_clean}; shares and errors are fractions, what could not be
        computed is None. The same ledger gives the same document, whatever the order of its rows.

    Raises:
        LedgerError: When the ledger lacks columns or holds values that no ledger can hold.
    """
    config = config or AccuracyConfig()
    read = read_ledger(ledger, config)
    headline, window = read.sample.rows(read.headline), read.sample.rows(read.clean)
    document: dict[str, Any] = jsonable(
        {
            "format": FORMAT,
            "settings": asdict(config),
            "data": _data(read),
            "headline": sample_figures(headline, config),
            "window": {
                **sample_figures(window, config),
                "learning_curve": _learning_curve(window, read.sales_seen[read.clean], config),
                "portfolio": portfolio_figures(window, config),
            },
            "not_clean": _not_clean(read, config),
        }
    )
    return document


def sample_figures(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    """Pooled figures of a sample and all its groups.

    Returns:
        {pooled, without_largest, chains: {chain: {pooled, without_largest, groups by
        premium, contest, mape_buckets, coverage_cells}}, groups:
        {dimension: {group: figures}}, contest, collections, mape_buckets, coverage_cells, interval_bands,
        signed_errors}.
    """
    rows = per_collection(sample, config)
    votes = contest(sample, config)
    return {
        "pooled": group_figures(sample, config),
        "without_largest": _without_largest(sample, config),
        "chains": {name: _chain(part, name, rows, config) for name, part in sample.by("chain")},
        "groups": {dimension: _groups(sample, dimension, config) for dimension in DIMENSIONS},
        "contest": votes,
        "collections": rows,
        "mape_buckets": mape_buckets(rows, votes["too_small"]),
        "coverage_cells": coverage_cells(sample, config),
        "interval_bands": interval_bands(sample),
        "signed_errors": signed_errors(sample),
    }


def _groups(sample: Sample, dimension: str, config: AccuracyConfig) -> dict[str, Any]:
    floor = (
        dimension == "premium_tier"
    )  # where price-related bias shows; elsewhere the simulation is not worth it
    return {name: group_figures(part, config, noise_floor=floor) for name, part in sample.by(dimension)}


def _chain(sample: Sample, name: str, rows: list[dict[str, Any]], config: AccuracyConfig) -> dict[str, Any]:
    """The headline of one chain: chains differ too much for their mixture to describe either."""
    votes = contest(sample, config)
    own = [row for row in rows if row["chain"] == name]
    return {
        "pooled": group_figures(sample, config),
        "without_largest": _without_largest(sample, config),
        "groups": {"premium_tier": _groups(sample, "premium_tier", config)},
        "contest": votes,
        "mape_buckets": mape_buckets(own, votes["too_small"]),
        "coverage_cells": coverage_cells(sample, config),
    }


def _without_largest(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    left_out, others = without_largest(sample, config.giants)
    return {"left_out": left_out, **group_figures(sample.rows(others), config)}


def _data(read: LedgerSample) -> dict[str, Any]:
    clean = read.sample.rows(read.clean)
    chains = read.sample.labels["chain"].names
    return {
        "rows": read.rows,
        "unpriced": read.unpriced,
        "clean": len(clean),
        "headline": int(read.headline.sum()),
        "estimates": int(clean.answered.sum()),
        "collections": len(np.unique(read.sample.collection.codes)),
        "chains": list(chains),
        "first": read.first,
        "last": read.last,
    }


def _learning_curve(sample: Sample, sales_seen: np.ndarray, config: AccuracyConfig) -> list[dict[str, Any]]:
    """Error of model, index and baselines by how many sales were visible, finer than the table's groups."""
    edges = (0, *LEARNING_EDGES)
    names = [f"{low}–{high - 1}" for low, high in pairwise(edges)] + [f"{edges[-1]}+"]
    labels = Labels.by_edges(sales_seen, LEARNING_EDGES, tuple(names))
    curve = []
    for code, name in enumerate(names):
        part = sample.rows(labels.codes == code)
        if not part.answered.any():
            continue
        figures = group_figures(part, config, noise_floor=False)
        curve.append(
            {
                "sales_seen": name,
                "from": edges[code],
                "n": figures["n"],
                "estimates": figures["estimates"],
                "collections": figures["collections"],
                **{series: _pick(row) for series, row in figures["series"].items()},
            }
        )
    return curve


def _pick(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("mdape", "mdape_ci")}


def _not_clean(read: LedgerSample, config: AccuracyConfig) -> dict[str, Any]:
    """Sales that are not arm's length: how many, and how far the estimates were from their prices."""
    total = len(read.sample)
    parts: dict[str, Bools] = {
        "all": ~read.clean,
        "wash": ~read.clean & read.wash,
        "other": ~read.clean & ~read.wash,
    }
    return {
        name: {
            "n": int(rows.sum()),
            "share": float(rows.sum() / total) if total else None,
            "figures": _summary(read.sample.rows(rows), config),
        }
        for name, rows in parts.items()
    }


def _summary(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    figures = group_figures(sample, config, noise_floor=False)
    model = figures["series"][MODEL]
    kept = ("mdape", "mdape_ci", "mape", "ppe20", "level")
    return {"estimates": figures["estimates"], **{key: model[key] for key in kept}}


def jsonable(value: Any) -> Any:
    """The same nesting in plain types: numbers to six significant digits, NaN and infinity as None.

    Six digits are more than any figure here deserves, and few enough that sums in another order agree.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
