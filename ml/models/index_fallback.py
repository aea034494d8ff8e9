"""The index fallback: collections that only the index prices, with too few sales for a prior or none yet.

Here: what rarity adds there, and the intervals, learnt per market. Not here: the index (`ml.index`), or when the
fallback applies (`ml.training.gate`).

Concept: young collections resemble young collections of their own market only: with both chains of the
real bundle in one, the rarity effect of the noisy one made the other's young collections a quarter worse than the bare
index (24.8 % against 19.7 %). So each market has its own, kept under a version of its own, next to the priors'.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import numpy as np

from ml.intervals.calibration import Calibration, CalibrationConfig, calibrate
from ml.metrics.formulas import premium_tier
from ml.models.frames import SaleFrame

RARITY_BINS = 10
"""Bins of the rarity percentile, from commonest to rarest."""

_VERSION = "index"


@dataclass(frozen=True)
class IndexFallbackConfig:
    """Settings of the index tier.

    Attributes:
        young_sales: Learnt on sales of collections with at most this many earlier sales.
        rarity_shrink: Sales at which a rarity bin's own median has half the weight.
        calibration: Settings of the intervals.
    """

    young_sales: int = 20
    rarity_shrink: float = 50.0
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


@dataclass(frozen=True)
class IndexFallback:
    """What was learnt from one market's young sales.

    Attributes:
        calibration: Intervals for a scale of 1, or None with too few sales.
        rarity: Log effect and the sales behind it per rarity bin, commonest first.
    """

    calibration: Calibration | None
    rarity: tuple[tuple[float, int], ...]

    @property
    def effects(self) -> tuple[float, ...]:
        """Log effect per rarity bin."""
        return tuple(effect for effect, _ in self.rarity)


NOTHING_LEARNT = IndexFallback(None, ())


def index_version(market: str) -> str:
    """Stands for "no prior" of a market where priors are named."""
    return f"{_VERSION} {market}"


def learn_index_fallback(
    con: duckdb.DuckDBPyConnection,
    sales: SaleFrame,
    config: IndexFallbackConfig,
    until: datetime | None = None,
) -> IndexFallback:
    """Learn from one market's sales.

    Args:
        con: Connection with features.sale_features, marts.dim_tokens and marts.dim_collections.
        sales: The market's sales known before `until`.
        config: Settings.
        until: Learn rarity from sales known before this time only; from all when None.
    """
    if not len(sales):
        return NOTHING_LEARNT
    chains = {sales.chains[code] for code in np.unique(sales.collection)}
    return IndexFallback(_calibrate(sales, config), _rarity(con, chains, config, until))


def _calibrate(sales: SaleFrame, config: IndexFallbackConfig) -> Calibration | None:
    """Such collections are young, so young sales calibrate them."""
    young = np.flatnonzero(sales.seq <= config.young_sales)
    if len(young) < config.calibration.mean_tier_rows:
        young = np.arange(len(sales))
    error = (sales.target_log - sales.base_log)[young]
    tier = premium_tier(sales.base_log[young], sales.floor_log[young])
    return calibrate(error, np.ones(len(young)), tier, config.calibration, sales.known_at[young])


def _rarity(
    con: duckdb.DuckDBPyConnection,
    chains: Collection[str],
    config: IndexFallbackConfig,
    until: datetime | None,
) -> tuple[tuple[float, int], ...]:
    """Median log gap of price over index by rarity bin, on young sales, shrunk towards 0."""
    rows = con.execute(
        """
        select least(floor(t.rarity_pct * $bins), $bins - 1)::int as rarity_bin,
            median(s.target_log - s.base_log) as gap, count(*) as sales
        from features.sale_features as s
        inner join marts.dim_collections as d on s.collection = d.collection
        inner join marts.dim_tokens as t on s.collection = t.collection and s.token_id = t.token_id
        where s.seq <= $early and t.rarity_pct is not null and ($until is null or s.known_at < $until::timestamp)
            and coalesce(d."chain", 'unknown') in (select unnest($chains))
        group by 1
        """,
        {"bins": RARITY_BINS, "early": config.young_sales, "until": until, "chains": sorted(chains)},
    ).fetchall()
    found = {row[0]: (row[1], row[2]) for row in rows}
    effects = []
    for number in range(RARITY_BINS):
        gap, sales = found.get(number, (0.0, 0))
        effects.append((gap * sales / (sales + config.rarity_shrink), sales))
    return tuple(effects)


def read_rarity(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[float, ...]]:
    """Log effect per rarity bin of every market of ops.rarity_effect, the market with most sales behind it first."""
    rows = con.execute(
        """
        select market, list(effect_log order by rarity_bin) from ops.rarity_effect
        where market is not null
        group by market order by sum(sales) desc, market
        """
    ).fetchall()
    return {market: tuple(effects) for market, effects in rows}
