"""Scoring: an honest answer for every token, from champions alone.

Here: `score`, which decides the tier of every collection, has its tokens predicted, and writes
predictions.token_estimates and predictions.estimate_history. Not here: training of any kind, or the
predictions themselves (`token_predictions`).

Concept: every token gets a row. Own model → pooled prior → index with rarity → no value with its reason, by
what its collection's data supports at this moment (ARCHITECTURE.md §4); a champion whose files or features do
not fit is not stretched but replaced by the next honest tier, and the report says so. Same inputs, same rows:
a rerun adds no history.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.index.params import DEFAULT_PARAMS
from ml.models.champion import TIER_INDEX, TIER_OWN, TIER_POOLED, Champion
from ml.models.estimates import write_estimates
from ml.models.frames import FeatureSet
from ml.models.gate import GateConfig
from ml.models.priors_in_use import PriorsInUse, load_priors
from ml.models.tables import create_tables
from ml.models.token_predictions import (
    PREDICTION_SCHEMA,
    predict_residuals,
    predict_tokens,
)
from ml.registry.artifacts import ArtifactStore
from ml.registry.mirror import read_champions


@dataclass(frozen=True)
class ScoringConfig:
    """When a token has no value, and how much is read at a time.

    Attributes:
        min_sales: Known arm's-length sales below which a collection has no value (DOMAIN.md §6).
        silent_days: Days since the last sale after which a collection has no value (DOMAIN.md §6).
        batch_rows: Tokens per batch of the pooled pass.
        collections_per_read: Collections per read of the local pass.
        threads: CatBoost threads.
    """

    min_sales: int = 3
    silent_days: int = 90
    batch_rows: int = 122_880
    collections_per_read: int = 200
    threads: int = 2


REASON_FEW_SALES = "fewer_than_3_sales"
REASON_SILENT = "silent_over_90_days"
REASON_NO_FEATURES = "no_features"


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring did.

    Attributes:
        as_of: The instant that was scored.
        tokens: Tokens in scope.
        valued: Tokens with an estimate.
        collections: Collections in scope.
        tokens_by_tier: Tokens by tier.
        collections_by_tier: Collections by tier.
        tokens_by_reason: Tokens without a value by reason.
        history_rows: Rows appended to predictions.estimate_history.
        replaced_champions: Collections whose champion could not speak, with the reason.
        seconds: Time by stage.
    """

    as_of: datetime
    tokens: int
    valued: int
    collections: int
    tokens_by_tier: dict[str, int]
    collections_by_tier: dict[str, int]
    tokens_by_reason: dict[str, int]
    history_rows: int
    replaced_champions: dict[str, str]
    seconds: dict[str, float]


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
        as_of: The instant to value at (UTC, naive); only what was known before it is used.
        snapshot_id: Lake snapshot the inputs come from; written to every row.
        only: Collections to score; all when None.
        config: Settings.
        features: Features to use; those declared now when None.

    Returns:
        Counts and times.

    Raises:
        FeatureMismatchError: When the live prior was fitted on other features than the lake holds.
        ArtifactMissingError: When a prior's file is gone.
    """
    config = config or ScoringConfig()
    features = features or FeatureSet.declared()
    clock = _Clock()
    create_tables(con, ["predictions.token_estimates", "predictions.estimate_history"])
    pooled = load_priors(con, artifacts, as_of, features)
    champions, replaced = _usable_champions(con, only, pooled, features, artifacts)
    _collection_facts(con, as_of, only, config)
    _assign(con, champions, pooled)
    clock.lap("champions")
    batches = predict_tokens(con, pooled.models, features, config.batch_rows, config.threads)
    predictions = pa.Table.from_batches(list(batches), schema=PREDICTION_SCHEMA)
    clock.lap("pooled pass")
    speaking = _speaking(con)
    with_booster = {key: champions[key] for key in speaking if champions[key].local_sha}
    residuals, refused = predict_residuals(
        con, with_booster, artifacts, features, config.collections_per_read
    )
    replaced |= refused
    _demote(con, refused)
    clock.lap("local pass")
    history = write_estimates(con, predictions, residuals, as_of, snapshot_id, features, only)
    clock.lap("write")
    report = _report(con, as_of, only, history, replaced, clock.seconds)
    for name in ("_facts", "_assignment"):
        con.execute(f"drop table if exists temp.{name}")
    return report


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


def _usable_champions(
    con: duckdb.DuckDBPyConnection,
    only: Sequence[str] | None,
    pooled: PriorsInUse,
    features: FeatureSet,
    artifacts: ArtifactStore,
) -> tuple[dict[str, Champion], dict[str, str]]:
    """Champions that can speak about these features, and why the others cannot."""
    champions = read_champions(con, only)
    replaced = {}
    for key, champion in champions.items():
        if champion.feature_fingerprint != features.fingerprint:
            replaced[key] = f"fitted on features {champion.feature_fingerprint}"
        elif champion.tier != TIER_INDEX and champion.prior_version not in pooled.versions:
            replaced[key] = f"its prior {champion.prior_version} is not kept any more"
        elif champion.local_sha and not artifacts.path(champion.local_sha).exists():
            replaced[key] = f"its booster {champion.local_sha[:12]} is not in the artefact store"
    return {key: champion for key, champion in champions.items() if key not in replaced}, replaced


def _collection_facts(
    con: duckdb.DuckDBPyConnection, as_of: datetime, only: Sequence[str] | None, config: ScoringConfig
) -> None:
    """Temporary table `_facts`: each collection in scope at the instant, and why it has no value."""
    chosen = "" if only is None else "where d.collection in (select unnest($only))"
    con.execute(
        f"""
        create or replace temp table _facts as
        with states as (
            select collection, max(seq) as sales, max(event_time) as last_sale_at, arg_max(p20_50, seq) as
            floor_eth from marts.fct_collection_state where known_at < $as_of group by collection
        ),

        featured as (select distinct collection from features.token_features where base_log is not null)

        select
            d.collection,
            coalesce(states.sales, 0) as sales,
            states.floor_eth,
            least($as_of::timestamp, coalesce(d.told_until + interval 1 microsecond, $as_of::timestamp)) as as_of,
            case
                when coalesce(states.sales, 0) < $min_sales then '{REASON_FEW_SALES}'
                when states.last_sale_at < least($as_of::timestamp, d.told_until) - to_days($silent_days)
                    then '{REASON_SILENT}'
                when featured.collection is null then '{REASON_NO_FEATURES}'
            end as no_value_reason
        from marts.dim_collections as d
        left join states on d.collection = states.collection
        left join featured on d.collection = featured.collection
        {chosen}
        """,
        {
            "as_of": as_of,
            "min_sales": config.min_sales,
            "silent_days": config.silent_days,
            **({} if only is None else {"only": list(only)}),
        },
    )


def _assign(con: duckdb.DuckDBPyConnection, champions: dict[str, Champion], pooled: PriorsInUse) -> None:
    """Temporary table `_assignment`: who speaks for each collection that gets a value.

    A collection without a champion (new since the last training) is priced by the live prior, or by the index
    alone when there is no prior yet or fewer sales had an index than the gate wants for the prior.
    """
    rows = []
    enough = DEFAULT_PARAMS.min_sales + GateConfig().pooled_min_sales
    for key, sales in con.execute(
        "select collection, sales from _facts where no_value_reason is null order by collection"
    ).fetchall():
        champion = champions.get(key)
        if champion is not None and champion.tier != TIER_INDEX:
            version, tier = str(champion.prior_version), champion.tier
        elif champion is not None or pooled.live.get(key) is None or sales < enough:
            version, tier = pooled.index[key], TIER_INDEX
        else:
            version, tier = str(pooled.live[key]), TIER_POOLED
        name = champion.model_version if champion else f"{key}@0"
        rows.append((key, pooled.versions[version], tier, name, None if tier == TIER_INDEX else version))
    columns = ("collection", "model", "tier", "model_version", "prior_version")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string())
    table = pa.table({name: pa.array([row[i] for row in rows], kinds[i]) for i, name in enumerate(columns)})
    con.register("_rows", table)
    try:
        con.execute(
            """
            create or replace temp table _assignment as
            select _rows.*, ln(_facts.floor_eth) as floor_log
            from _rows inner join _facts on _rows.collection = _facts.collection
            """
        )
    finally:
        con.unregister("_rows")


def _speaking(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Collections whose own model speaks."""
    rows = con.execute("select collection from _assignment where tier = $1 order by collection", [TIER_OWN])
    return [row[0] for row in rows.fetchall()]


def _demote(con: duckdb.DuckDBPyConnection, refused: dict[str, str]) -> None:
    """Let the pooled prior speak where a booster could not."""
    if refused:
        con.execute(
            "update _assignment set tier = $1 where collection in (select unnest($2))",
            [TIER_POOLED, list(refused)],
        )


def _report(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    only: Sequence[str] | None,
    history: int,
    replaced: dict[str, str],
    seconds: dict[str, float],
) -> ScoreReport:
    rows = con.execute(
        """
        select e.tier, e.no_value_reason, count(*), count(distinct e.collection)
        from predictions.token_estimates as e inner join _facts on e.collection = _facts.collection
        group by all
        """
    ).fetchall()
    by_tier: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for tier, reason, tokens, _ in rows:
        by_tier[tier] = by_tier.get(tier, 0) + tokens
        if reason is not None:
            by_reason[reason] = by_reason.get(reason, 0) + tokens
    tiers = con.execute(
        """
        select coalesce(a.tier, 'none'), count(*) from _facts
        left join _assignment as a on _facts.collection = a.collection group by 1
        """
    ).fetchall()
    total = sum(by_tier.values())
    return ScoreReport(
        as_of=as_of,
        tokens=total,
        valued=total - by_tier.get("none", 0),
        collections=sum(count for _, count in tiers),
        tokens_by_tier=by_tier,
        collections_by_tier=dict(tiers),
        tokens_by_reason=by_reason,
        history_rows=history,
        replaced_champions=replaced
        if only is None
        else {k: v for k, v in replaced.items() if k in set(only)},
        seconds=seconds,
    )
