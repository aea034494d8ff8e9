"""Settings of the accuracy report: what is scored, how uncertainty is drawn, where groups begin and end.

Here: every threshold of the report with its unit. Not here: any computation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MODEL = "model"
"""Name of Assay's own estimate among the series of a sample."""

LEDGER_SERIES = {
    MODEL: "estimate_eth",
    "prior": "prior_eth",
    "index": "index_eth",
    "med_5": "med_5_eth",
    "med_30": "med_30_eth",
    "p20_50": "p20_50_eth",
    "last_index": "last_index_eth",
}
"""Every estimate that is scored, in the order of the tables, with its column of the ledger."""

SERIES_NAMES = {
    MODEL: "Assay",
    "prior": "pooled prior alone",
    "index": "hedonic index alone",
    "med_5": "median of the last 5",
    "med_30": "median of the last 30",
    "p20_50": "floor proxy (p20 of 50)",
    "last_index": "last sale × index",
    "best_simple": "best of the three simple ones",
}
"""What people read instead of a series' name; the simple ones are floor proxy, median of 30, last sale × index."""

NOMINAL = {0.8: ("lower_eth", "upper_eth"), 0.9: ("lower_90_eth", "upper_90_eth")}
"""What each pair of bounds promises to cover, and its columns of the ledger."""

SALES_SEEN_EDGES = (5, 20, 50, 200, 1000)
"""Edges of the groups by arm's-length sales of the collection visible before the sale."""

STALENESS_EDGES_DAYS = (1 / 24, 6 / 24, 1.0, 3.0, 14.0)
"""Edges of the groups by days since the collection's last visible sale (liquidity)."""

LEARNING_EDGES = (3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Edges of the learning curve, in sales visible before the sale."""

MAPE_EDGES = (0.10, 0.20, 0.30, 0.50, math.inf)
"""Upper edges of the MAPE buckets, as fractions of the price."""


@dataclass(frozen=True)
class AccuracyConfig:
    """What counts and how sure it is.

    Attributes:
        last_share: Share of each collection's clean sales, the newest, in the headline sample.
        min_sales: Collections with fewer clean sales than this are not in the headline sample.
        min_collection_sales: A collection has figures of its own and is counted from this many estimates on.
        min_cell_sales: A tier of a month is judged for coverage from this many intervals on.
        coverage_tolerance: Distance from the nominal coverage that is allowed, as a fraction.
        portfolio_sales: A seller's sales are a portfolio from this many on.
        draws: Bootstrap draws.
        confidence: Of the bootstrap, Wilson and binomial intervals.
        min_clusters: With fewer collections than this, blocks of one day of one collection are drawn instead.
        noise_draws: Simulated markets behind the noise floor of PRD.
        giants: Collections left out of "without the largest".
        seed: Of every random draw.
    """

    last_share: float = 0.3
    min_sales: int = 200
    min_collection_sales: int = 50
    min_cell_sales: int = 100
    coverage_tolerance: float = 0.02
    portfolio_sales: int = 5
    draws: int = 300
    confidence: float = 0.95
    min_clusters: int = 10
    noise_draws: int = 20
    giants: int = 2
    seed: int = 7
