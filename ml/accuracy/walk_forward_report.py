"""The accuracy that every run publishes: walk-forward predictions of the lake next to the baselines, by chain.

Here: the sample of it (the last share of each sizeable collection in the argument predictions), the short document of a
run, and whether the stored one is still about the predictions that there are. Not here: predictions
(`ml.training.walk_forward`), the figures themselves and the full report from a ledger (`ml.accuracy`).

Concept: a sale judged by a local booster that had not seen it is reported with that booster; no figure was chosen
after the fact. This document is for the end of a run and has no bootstrap; `assay report` has.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from lake.tables import is_empty
from ml.accuracy.config import MODEL, AccuracyConfig
from ml.accuracy.contest import contest
from ml.accuracy.document import jsonable
from ml.accuracy.figures import group_figures
from ml.accuracy.sample import Labels, Sample
from ml.compute.matrix import column
from ml.metrics.formulas import PREMIUM_TIERS, premium_tier
from ml.models.collection_reader import BASELINE_COLUMNS
from ml.portfolio.past import back_test
from ml.tables.monitoring import ACCURACY_REPORT

_PREDICTIONS = ("predictions.prior_walk_forward", "predictions.local_walk_forward")

RUN_CONFIG = AccuracyConfig(draws=0)
"""The report's settings without the bootstrap: a run reports figures without their uncertainty."""

_SIZES = (500.0, 2000.0)
_SIZE_NAMES = ("0-499", "500-1999", "2000+")
_SHOWN = (MODEL, "prior", "index", "med_5")


def read_holdout(con: duckdb.DuckDBPyConnection, config: AccuracyConfig = RUN_CONFIG) -> Sample:
    """The last share of every collection with enough sales, from predictions.prior_walk_forward.

    Args:
        con: Connection on which `predictions` and `marts` can be addressed.
        config: Settings; `last_share` and `min_sales` choose the rows.

    Returns:
        Sales in order of collection and sequence, with the dimensions chain, premium_tier and collection_size.
    """
    prediction = "coalesce(l.prediction_log, w.prediction_log)"
    join = "left join predictions.local_walk_forward as l on w.sale_id = l.sale_id"
    table = con.execute(
        f"""
        with placed as (
            select *, count(*) over (partition by collection) as size,
                row_number() over (partition by collection order by seq) - 1 as place
            from predictions.prior_walk_forward
        )

        select coalesce(c."chain", 'unknown') as "chain", w.collection, w.size, w.target_log,
            epoch_us(w.known_at) // 86400000000 as day, {prediction} as model, w.prediction_log as prior, w.base_log,
            w.floor_log, w.med_30_log, w.med_5_log, w.last_index_log, w.half_80, w.half_90
        from placed as w
        left join marts.dim_collections as c on w.collection = c.collection
        {join}
        where w.size >= $min_sales and w.place >= floor((1.0 - $last_share) * w.size)
        order by w.collection, w.seq
        """,
        {"min_sales": config.min_sales, "last_share": config.last_share},
    ).to_arrow_table()
    model = column(table, "model")
    tiers = premium_tier(model, column(table, "floor_log")).astype(np.int64)
    halves = {0.8: column(table, "half_80"), 0.9: column(table, "half_90")}
    return Sample(
        collection=Labels.of(table["collection"].to_pylist()),
        day=column(table, "day").astype(np.int64),
        price_log=column(table, "target_log"),
        logs={
            MODEL: model,
            "prior": column(table, "prior"),
            "index": column(table, "base_log"),
            **{name: column(table, source) for name, source in BASELINE_COLUMNS.items()},
        },
        bounds={level: (model - half, model + half) for level, half in halves.items()},
        labels={
            "chain": Labels.of(table["chain"].to_pylist()),
            "premium_tier": Labels(tiers, PREMIUM_TIERS),
            "collection_size": Labels.by_edges(column(table, "size"), _SIZES, _SIZE_NAMES),
        },
        expected_log=np.full(table.num_rows, np.nan),
        seller=np.full(table.num_rows, -1),
    )


def accuracy_report(con: duckdb.DuckDBPyConnection, config: AccuracyConfig = RUN_CONFIG) -> dict[str, Any]:
    """Accuracy of the walk-forward predictions next to the baselines, for each chain and for all.

    Args:
        con: Connection on which `predictions` and `marts` can be addressed.
        config: Settings.

    Returns:
        {"sample": {last_share, min_sales}, "chains": {"all" | chain: {collections, sales, pooled: {model:
        metrics}, median_collection_mdape, share_beating: {baseline: share of collections},
        share_beating_best_simple, mdape_ratio_to_med_5, premium_tiers, collection_size, coverage}}}. "model"
        is Assay's estimate, "prior" without local boosters, "index" the index alone. Plain types; None where
        there was nothing to measure. "sums" is `ml.portfolio.past.back_test`: of wallets, by market.
    """
    holdout = read_holdout(con, config)
    chains = {"all": _chain_report(holdout, config)}
    chains |= {name: _chain_report(part, config) for name, part in holdout.by("chain")}
    settings = {"last_share": config.last_share, "min_sales": config.min_sales}
    document: dict[str, Any] = jsonable({"sample": settings, "chains": chains, "sums": back_test(con)})
    return document


def accuracy_basis(con: duckdb.DuckDBPyConnection) -> str:
    """A digest of the predictions that a report made now is about; equal for equal rows in any order."""
    parts = []
    for name in _PREDICTIONS:
        found = con.execute(f"select count(*), sum(hash(p)::hugeint) from {name} as p").fetchone()
        parts.append(f"{found[0]} rows {found[1] or 0}" if found else "none")
    return ", ".join(parts)


def accuracy_due(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether there are predictions that the stored report does not include, whichever run made them."""
    if is_empty(con, _PREDICTIONS[0]):
        return False
    stored = con.execute(f"select basis from {ACCURACY_REPORT.name}").fetchone()
    return stored is None or stored[0] != accuracy_basis(con)


def record_accuracy(
    con: duckdb.DuckDBPyConnection, as_of: datetime, document: dict[str, Any], basis: str
) -> None:
    """Replace the stored report, in the caller's transaction.

    Args:
        con: A write connection.
        as_of: As-of time at which it was made.
        document: From `accuracy_report`.
        basis: From `accuracy_basis`, on the connection on which the document was made.
    """
    con.execute(f"delete from {ACCURACY_REPORT.name}")
    con.execute(
        f"insert into {ACCURACY_REPORT.name} (as_of, document, basis) values (?, ?, ?)",
        [as_of, json.dumps(document), basis],
    )


def _chain_report(sample: Sample, config: AccuracyConfig) -> dict[str, Any]:
    # A chain is reported whole, thin collections included: the sample has a minimum size of its own.
    votes = contest(sample, replace(config, min_collection_sales=1))
    figures = group_figures(sample, config, noise_floor=False)
    pooled = figures["series"]
    beating = {name: vote["share"] for name, vote in votes["beating"].items()}
    best_simple = beating.pop("best_simple")
    return {
        "collections": figures["collections"],
        "sales": len(sample),
        "pooled": pooled,
        "median_collection_mdape": votes["median_mdape"],
        "share_beating": beating,
        "share_beating_best_simple": best_simple,
        "mdape_ratio_to_med_5": pooled[MODEL]["mdape"] / pooled["med_5"]["mdape"]
        if len(sample)
        else math.nan,
        "premium_tiers": {
            name: _tier(group_figures(part, config, noise_floor=False))
            for name, part in sample.by("premium_tier")
        },
        "collection_size": {
            name: _size(group_figures(part, config, noise_floor=False))
            for name, part in sample.by("collection_size")
        },
        "coverage": _coverage(figures),
    }


def _tier(figures: dict[str, Any]) -> dict[str, Any]:
    series = figures["series"]
    return {"model": series[MODEL], "med_5_mdape": series["med_5"]["mdape"], "coverage": _coverage(figures)}


def _size(figures: dict[str, Any]) -> dict[str, Any]:
    return {"n": figures["n"], **{name: figures["series"][name]["mdape"] for name in _SHOWN}}


def _coverage(figures: dict[str, Any]) -> dict[str, Any]:
    coverage = figures["coverage"]
    return {
        "n": coverage["80"]["n"],
        **{f"coverage_{level}": part["share"] for level, part in coverage.items()},
        **{f"half_width_{level}_log": part["half_width_log"] for level, part in coverage.items()},
    }
