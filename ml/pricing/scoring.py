"""Scoring: an estimate, or a reason for its absence, for every token, from champions alone.

Here: `score`, which prices the tokens of every collection as of a time and writes predictions.token_estimates and
predictions.estimate_history. Not here: training of any kind, the tiers (`ml.pricing.tiers`), or the price itself
(`ml.pricing.price`).

Concept: every token gets a row: an estimate, or the reason why there is none. A champion whose files or features do not
fit is replaced by the next tier, and the report lists it. Same inputs, same rows: a rerun adds no history.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ml.compute.matrix import column, matrix
from ml.models.frames import FeatureSet
from ml.models.traits import TraitLists, read_trait_types
from ml.pricing.estimates import PREDICTION_SCHEMA, write_estimates
from ml.pricing.floors import find_floors
from ml.pricing.models import LakeModels, RowIntervals, read_models
from ml.pricing.price import Prices, PricingInputs, price
from ml.pricing.score_report import ScoreReport, score_report
from ml.pricing.tiers import TierChoices, TierRules, usable_champions
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.mirror import read_champions
from ml.states import Tier


@dataclass(frozen=True)
class ScoringConfig:
    """When a token has no value, and how much is read at a time.

    Attributes:
        tiers: Thresholds of the tiers.
        batch_rows: Tokens per batch; bounds memory.
        threads: CatBoost threads.
    """

    tiers: TierRules = field(default_factory=TierRules)
    batch_rows: int = 122_880
    threads: int = 2


def score(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    as_of: datetime,
    snapshot_id: int,
    only: Sequence[str] | None = None,
    config: ScoringConfig | None = None,
    features: FeatureSet | None = None,
) -> ScoreReport:
    """Estimate every token and write the estimates, in the caller's transaction.

    Args:
        con: A write connection of the lake.
        artifacts: Where model files are.
        as_of: Time to value at (UTC, naive); only what was known before it is used.
        snapshot_id: Lake snapshot the inputs come from; written to every row.
        only: Collections to score; all when None.
        config: Settings.
        features: Features to use; those declared now when None.

    Returns:
        Counts and times.

    Raises:
        FeatureMismatchError: When the live prior was fitted on other features than the lake holds.
    """
    config = config or ScoringConfig()
    features = features or FeatureSet.declared()
    clock = _Clock()
    lake = read_models(con, artifacts, as_of, features)
    champions, replaced = usable_champions(
        read_champions(con, only), lake.models.priors, features.fingerprint, lake.lost
    )
    _collection_facts(con, as_of, only, config.tiers)
    _choose_tiers(con, champions, lake, config.tiers)
    clock.lap("champions")
    batches: list[pa.RecordBatch] = []
    refused: dict[str, str] = {}
    for batch, prices in _price_tokens(con, champions, lake, features, config):
        batches.append(batch)
        replaced |= prices.refused
        refused |= prices.refused
    # Not the champion's estimates: when it can price again, they are made again.
    con.execute(
        "update _choices set model_version = collection || '@0' where collection in (select unnest($1))",
        [list(refused)],
    )
    clock.lap("prices")
    predictions = pa.Table.from_batches(batches, schema=PREDICTION_SCHEMA)
    find_floors(con, as_of)
    history = write_estimates(con, predictions, as_of, snapshot_id, features, only)
    clock.lap("write")
    report = score_report(con, as_of, only, history, replaced, clock.seconds)
    for name in ("_facts", "_choices", "_floors"):
        con.execute(f"drop table if exists temp.{name}")
    return report


def _collection_facts(
    con: duckdb.DuckDBPyConnection, as_of: datetime, only: Sequence[str] | None, rules: TierRules
) -> None:
    """Temporary table `_facts`: each collection in scope at that time, and why it has no value."""
    chosen = "" if only is None else "where d.collection in (select unnest($only))"
    table = con.execute(
        f"""
        with states as (
            select collection, max(seq) as sales, max(event_time) as last_sale_at,
                arg_max(p20_50, seq) as p20_eth, arg_max(p10_50, seq) as p10_eth
            from marts.fct_collection_state where known_at < $as_of group by collection
        )

        select
            d.collection,
            coalesce(states.sales, 0) as sales,
            states.p20_eth,
            states.p10_eth,
            least($as_of::timestamp, coalesce(d.covered_until + interval 1 microsecond, $as_of::timestamp)) as as_of,
            (epoch_us(least($as_of::timestamp, d.covered_until)) - epoch_us(states.last_sale_at)) / 86400e6
                as days_since_sale
        from marts.dim_collections as d
        left join states on d.collection = states.collection
        {chosen}
        order by d.collection
        """,
        {"as_of": as_of, **({} if only is None else {"only": list(only)})},
    ).to_arrow_table()
    reasons = [
        rules.no_value_reason(sales, days)
        for sales, days in zip(
            table["sales"].to_pylist(), column(table, "days_since_sale").tolist(), strict=True
        )
    ]
    con.register("_rows", table.append_column("no_value_reason", pa.array(reasons, pa.string())))
    try:
        con.execute("create or replace temp table _facts as select * from _rows")
    finally:
        con.unregister("_rows")


def _choose_tiers(
    con: duckdb.DuckDBPyConnection, champions: Mapping[str, Champion], lake: LakeModels, rules: TierRules
) -> None:
    """Temporary table `_choices`: who prices each collection that can have a value."""
    rows = []
    for key, sales in con.execute(
        "select collection, sales from _facts where no_value_reason is null order by collection"
    ).fetchall():
        champion = champions.get(key)
        tier, version = rules.choose(sales, champion, lake.live.get(key))
        name = champion.model_version if champion else f"{key}@0"
        rows.append((key, lake.market.get(key, ""), tier, version, name))
    columns = ("collection", "market", "tier", "prior_version", "model_version")
    table = pa.table(
        {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(columns)}
    )
    con.register("_rows", table)
    try:
        con.execute(
            """
            create or replace temp table _choices as
            select _rows.*, ln(_facts.p20_eth) as floor_log
            from _rows inner join _facts on _rows.collection = _facts.collection
            """
        )
    finally:
        con.unregister("_rows")


def _price_tokens(
    con: duckdb.DuckDBPyConnection,
    champions: Mapping[str, Champion],
    lake: LakeModels,
    features: FeatureSet,
    config: ScoringConfig,
) -> Iterator[tuple[pa.RecordBatch, Prices]]:
    """Price the tokens of the collections in `_choices`, in batches of `PREDICTION_SCHEMA`."""
    own = con.execute("select collection from _choices where tier = $1", [Tier.OWN]).fetchall()
    types = read_trait_types(con, [row[0] for row in own])
    quoted = "".join(f', t."{name}"' for name in features.names)
    reader = con.execute(
        f"""
        select t.collection, t.token_id, t.as_of, t.state_known_at, t.base_log, d.rarity_pct as _rarity,
            c.market as _market, c.tier as _tier, c.prior_version as _prior, c.floor_log as _floor,
            case when c.tier = '{Tier.OWN}' then d.trait_values end as _traits {quoted}
        from features.token_features as t
        inner join _choices as c on t.collection = c.collection
        left join marts.dim_tokens as d on t.collection = d.collection and t.token_id = d.token_id
        where t.base_log is not null
        """
    ).to_arrow_reader(config.batch_rows)
    for batch in reader:
        inputs = PricingInputs(
            collection=_objects(batch, "collection"),
            market=_objects(batch, "_market"),
            base_log=column(batch, "base_log"),
            floor_log=column(batch, "_floor"),
            rarity=column(batch, "_rarity"),
            features=matrix(batch, features.names),
            traits=TraitLists.of(batch.column("_traits"), types),
        )
        choices = TierChoices(
            _objects(batch, "_tier"), _objects(batch, "_prior"), np.full(len(inputs), None, object), champions
        )
        intervals = RowIntervals.of_markets(lake.calibrations, inputs.market)
        prices = price(inputs, choices, lake.models, intervals, features, config.threads)
        yield _prediction_batch(batch, prices), prices


def _prediction_batch(batch: pa.RecordBatch, prices: Prices) -> pa.RecordBatch:
    eth = {name: pa.array(values, from_pandas=True) for name, values in prices.eth().items()}
    columns: dict[str, Any] = {
        "collection": batch.column("collection"),
        "token_id": batch.column("token_id"),
        "feature_as_of": batch.column("as_of"),
        "feature_watermark": batch.column("state_known_at"),
        "tier": pa.array(prices.tier, pa.string()),
        "prior_version": pa.array(prices.prior_version, pa.string()),
        "no_value_reason": pa.array(prices.reason, pa.string()),
        "half_80": pa.array(prices.half_80, from_pandas=True),
        **eth,
    }
    arrays = [
        columns[name].cast(kind)
        for name, kind in zip(PREDICTION_SCHEMA.names, PREDICTION_SCHEMA.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=PREDICTION_SCHEMA)


def _objects(batch: pa.RecordBatch, name: str) -> Any:
    return batch.column(name).to_numpy(zero_copy_only=False)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
