"""The estimates of one refit period of a backtest: each sale priced as of its own time.

Here: what is known of each sale, handed to `ml.pricing`. Not here: fitting (`ml.backtest.prior`, `ml.backtest.local`),
the tiers or the prices.

Concept: the tiers and the price are those of scoring. Only the intervals are computed for many times instead of one:
each sale gets the state after the last sale known before it. A sale that is not at arm's length gets an interval too,
but does not change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.backtest.data import History, WindowSales
from ml.backtest.parts import BacktestChampion
from ml.backtest.prior import Walked
from ml.intervals.calibration import quantiles_at
from ml.ledger.ledger import ESTIMATE_SCHEMA
from ml.models.frames import FeatureSet
from ml.models.index_fallback import IndexFallback
from ml.models.traits import TraitLists, read_trait_types
from ml.pricing.models import PricingModels, PriorModel, RowIntervals
from ml.pricing.price import Prices, PricingInputs, price
from ml.pricing.tiers import TierChoices, TierRules, usable_champions
from ml.registry.artifacts import ArtifactStore
from ml.states import Tier
from ml.training.pooled import PooledConfig
from ml.training.walk_forward import Fold, prior_version

Float = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class InForce:
    """The models of one period, all of them made from sales known before the period.

    Attributes:
        folds: Folds of each market; the last one is live.
        champions: Champions by collection.
        mean_log: Mean correction by premium tier, by market; a market that is not calibrated yet is missing.
        index_fallback: Rarity effects and intervals of the index fallback, by market.
    """

    folds: Mapping[str, Sequence[Fold]]
    champions: Mapping[str, BacktestChampion]
    mean_log: Mapping[str, Sequence[float]]
    index_fallback: Mapping[str, IndexFallback]


def price_period(
    con: duckdb.DuckDBPyConnection,
    rows: WindowSales,
    history: History,
    walked: Walked,
    force: InForce,
    features: FeatureSet,
    config: PooledConfig,
    rules: TierRules,
    artifacts: ArtifactStore,
    threads: int,
) -> pa.Table:
    """Estimates of the rows.

    Args:
        con: Connection with marts.dim_tokens and marts.dim_trait_values.
        rows: Sales of the period.
        history: The past, for the state of the intervals.
        walked: Its out-of-fold predictions by the folds in force.
        force: The models.
        features: Feature columns.
        config: Settings of the pooled stage.
        rules: Thresholds of the tiers.
        artifacts: Where models are.
        threads: CatBoost threads.

    Returns:
        Rows of `ESTIMATE_SCHEMA`, one per sale and in the order of the rows.
    """
    priors = {
        prior_version(fold.prior_sha): PriorModel(fold.prior_sha, fold.scale_sha)
        for folds in force.folds.values()
        for fold in folds
    }
    models = PricingModels(artifacts, priors, force.index_fallback)
    champions, _ = usable_champions(
        {key: held.champion for key, held in force.champions.items()}, priors, features.fingerprint
    )
    live = {market: prior_version(folds[-1].prior_sha) for market, folds in force.folds.items() if folds}
    choices = TierChoices(*_choose(rows, champions, live, rules), champions)
    traits = _read_traits(con, rows, choices)
    inputs = PricingInputs(
        rows.collection, rows.market, rows.base_log, rows.floor_log, rows.rarity, rows.features, traits
    )
    intervals = _intervals(rows, history, walked, force, config)
    prices = price(inputs, choices, models, intervals, features, threads)
    used = champions.keys() - prices.refused.keys()
    names = [force.champions[key].version if key in used else f"{key}@0" for key in rows.collection]
    return _table(rows, prices, names)


def _choose(
    rows: WindowSales, champions: Mapping[str, object], live: Mapping[str, str], rules: TierRules
) -> tuple[Objects, Objects, Objects]:
    """Tier, prior and reason of every row; the live prior is also asked where the index prices."""
    n = len(rows)
    tier, version, reason = np.empty(n, object), np.empty(n, object), np.empty(n, object)
    for row in range(n):
        sales, newest = int(rows.sales_seen[row]), live.get(rows.market[row])
        champion = champions.get(rows.collection[row])
        tier[row], version[row] = rules.choose(sales, champion, newest)  # type: ignore[arg-type]
        if tier[row] == Tier.INDEX:
            version[row] = newest
        reason[row] = rules.no_value_reason(sales, float(rows.days_since_sale[row]))
    return tier, version, reason


def _intervals(
    rows: WindowSales, history: History, walked: Walked, force: InForce, config: PooledConfig
) -> RowIntervals:
    """State of each row's market after the last sale known before it."""
    result = RowIntervals.of_markets({}, rows.market)
    for market in sorted(set(rows.market.tolist())):
        past, mine = np.flatnonzero(history.market == market), np.flatnonzero(rows.market == market)
        quantiles = quantiles_at(
            history.frame.target_log[past] - walked.prediction_log[past],
            walked.scale[past],
            walked.tier[past],
            history.frame.known_at[past],
            rows.as_of[mine],
            config.walk_forward.calibration,
        )
        result.quantile_80[mine], result.quantile_90[mine] = quantiles[:, :, 0], quantiles[:, :, 1]
        if market in force.mean_log:
            result.mean_log[mine] = force.mean_log[market]
    return result


def _read_traits(con: duckdb.DuckDBPyConnection, rows: WindowSales, choices: TierChoices) -> TraitLists:
    """Traits of the tokens that their collection's own model prices; empty lists for the others."""
    own = np.asarray(choices.tier == Tier.OWN)
    asked = pa.table(
        {
            "place": np.arange(len(rows)),
            "collection": pa.array(rows.collection, pa.string(), mask=~own),
            "token_id": pa.array(rows.token_id, pa.string()),
        }
    )
    con.register("_asked", asked)
    try:
        lists = con.execute(
            """
            select t.trait_values from _asked as a
            left join marts.dim_tokens as t on a.collection = t.collection and a.token_id = t.token_id
            order by a.place
            """
        ).to_arrow_table()["trait_values"]
    finally:
        con.unregister("_asked")
    return TraitLists.of(lists, read_trait_types(con, sorted(set(rows.collection[own].tolist()))))


def _table(rows: WindowSales, prices: Prices, names: Sequence[str]) -> pa.Table:
    valued, eth = prices.valued, prices.eth()

    def known(values: Float) -> pa.Array:
        return pa.array(values, mask=~(valued & np.isfinite(values)))

    version = [name if ok else None for name, ok in zip(names, valued, strict=True)]
    return pa.table(
        {
            "collection": pa.array(rows.collection, pa.string()),
            "token_id": pa.array(rows.token_id, pa.string()),
            "as_of": pa.array(rows.as_of).cast(pa.timestamp("us")),
            "estimate_eth": known(eth["estimate_eth"]),
            "lower_eth": known(eth["lower_80_eth"]),
            "upper_eth": known(eth["upper_80_eth"]),
            "lower_90_eth": known(eth["lower_90_eth"]),
            "upper_90_eth": known(eth["upper_90_eth"]),
            "expected_eth": known(eth["expected_eth"]),
            "index_eth": known(np.exp(prices.base_log)),
            "prior_eth": known(np.exp(prices.prior_log)),
            "tier": pa.array(prices.tier, pa.string()),
            "no_value_reason": pa.array(prices.reason, pa.string()),
            "model_version": pa.array(version, pa.string()),
            "prior_version": pa.array(prices.prior_version, pa.string()),
            "snapshot_id": np.zeros(len(rows), np.int64),
        }
    ).select(ESTIMATE_SCHEMA.names)
