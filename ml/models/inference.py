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
from typing import Any

import duckdb
import pyarrow as pa

from ml.models.calibration import Calibration
from ml.models.champion import TIER_INDEX, TIER_OWN, TIER_POOLED, Champion
from ml.models.frames import FeatureSet
from ml.models.markets import LivePriors
from ml.models.pooled import INDEX_VERSION, prior_version
from ml.models.tables import create_tables, table_exists
from ml.models.token_predictions import (
    LOCAL_SCHEMA,
    PREDICTION_SCHEMA,
    PooledModels,
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
    pooled = _load_pooled(con, artifacts, as_of, features)
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
    history = _write(con, predictions, residuals, as_of, snapshot_id, features, only)
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


@dataclass(frozen=True)
class _Pooled:
    """Priors in use, the index alone first, and the live one of every collection."""

    models: list[PooledModels]
    versions: dict[str, int]
    live: dict[str, str | None]


def _load_pooled(
    con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, as_of: datetime, features: FeatureSet
) -> _Pooled:
    """The live priors, every prior that a champion still refers to, and the index alone."""
    folds: list[Any] = []
    if table_exists(con, "ops.prior_folds"):
        folds = con.execute(
            "select market, prior_sha, scale_sha, feature_fingerprint from ops.prior_folds order by market, fold"
        ).fetchall()
    wanted = {champion.prior_version for champion in read_champions(con).values()}
    index = PooledModels(None, None, _calibration(con, INDEX_VERSION, as_of), _rarity_effect(con))
    models, versions = [index], {INDEX_VERSION: 0}
    live = LivePriors.read(con)
    for market, sha, scale_sha, fingerprint in folds:
        version = prior_version(sha)
        newest = live.by_market[market]
        if version == newest:
            features.require(fingerprint, f"the live prior {version} of {market}")
        elif fingerprint != features.fingerprint or version not in wanted:
            continue
        scale = artifacts.get_model(scale_sha) if scale_sha else None
        calibration = _calibration(con, version, as_of) or _calibration(con, newest, as_of)
        versions[version] = len(models)
        prior = artifacts.get_model(sha)
        if scale is not None and calibration is not None:
            models.append(PooledModels(prior, scale, calibration))
        else:  # a market too young to be calibrated: the wider intervals of the index are the honest ones
            models.append(PooledModels(prior, None, index.calibration))
    return _Pooled(models, versions, live.of_collections(con))


def _calibration(con: duckdb.DuckDBPyConnection, version: str, as_of: datetime) -> Calibration | None:
    """The newest calibration of a prior made from what was known before the instant."""
    if not table_exists(con, "ops.interval_calibration"):
        return None
    rows = con.execute(
        """
        select quantile_80, quantile_90, mean_log, sales from ops.interval_calibration
        where prior_version = $1 and calibrated_at <= $2
        qualify calibrated_at = max(calibrated_at) over ()
        order by premium_tier
        """,
        [version, as_of],
    ).fetchall()
    if not rows:
        return None
    columns = list(zip(*rows, strict=True))
    return Calibration(columns[0], columns[1], columns[2], columns[3])


def _rarity_effect(con: duckdb.DuckDBPyConnection) -> tuple[float, ...]:
    if not table_exists(con, "ops.rarity_effect"):
        return ()
    return tuple(
        row[0]
        for row in con.execute("select effect_log from ops.rarity_effect order by rarity_bin").fetchall()
    )


def _usable_champions(
    con: duckdb.DuckDBPyConnection,
    only: Sequence[str] | None,
    pooled: _Pooled,
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


def _assign(con: duckdb.DuckDBPyConnection, champions: dict[str, Champion], pooled: _Pooled) -> None:
    """Temporary table `_assignment`: who speaks for each collection that gets a value.

    A collection without a champion (new since the last training) is priced by the live prior, or by the index
    alone when there is no prior yet.
    """
    rows = []
    for (key,) in con.execute(
        "select collection from _facts where no_value_reason is null order by collection"
    ).fetchall():
        champion = champions.get(key)
        if champion is not None and champion.tier != TIER_INDEX:
            version, tier = str(champion.prior_version), champion.tier
        elif champion is not None or pooled.live.get(key) is None:
            version, tier = INDEX_VERSION, TIER_INDEX
        else:
            version, tier = str(pooled.live[key]), TIER_POOLED
        name = champion.model_version if champion else f"{key}@0"
        width = champion.width_factor if champion else 1.0
        rows.append(
            (key, pooled.versions[version], tier, name, None if tier == TIER_INDEX else version, width)
        )
    columns = ("collection", "model", "tier", "model_version", "prior_version", "width_factor")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string(), pa.float64())
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


def _write(
    con: duckdb.DuckDBPyConnection,
    predictions: pa.Table,
    residuals: pa.Table,
    as_of: datetime,
    snapshot_id: int,
    features: FeatureSet,
    only: Sequence[str] | None,
) -> int:
    """Replace the estimates in scope and append the history; returns the history rows added."""
    if only is None:
        con.execute("delete from predictions.token_estimates")
    else:
        con.execute(
            "delete from predictions.token_estimates where collection in (select unnest($1))", [list(only)]
        )
    con.register("_predictions", predictions)
    con.register("_residuals", residuals.cast(LOCAL_SCHEMA))
    try:
        con.execute(
            _ESTIMATES_SQL, {"as_of": as_of, "snapshot": snapshot_id, "features": features.fingerprint}
        )
    finally:
        con.unregister("_predictions")
        con.unregister("_residuals")
    added = con.execute(_HISTORY_SQL).fetchone()
    return int(added[0]) if added else 0


_ESTIMATES_SQL = """
insert into predictions.token_estimates by name
with last_sales as (
    select s.collection, s.token_id, arg_max(s.price_eth, s.seq) as last_sale_eth
    from marts.fct_sales as s
    inner join _facts on s.collection = _facts.collection
    where s.is_arms_length and s.known_at < $as_of
    group by s.collection, s.token_id
),

predicted as (
    select
        p.collection, p.token_id, p.feature_as_of, p.feature_watermark, p.half_80, p.half_90, p.mean_log,
        p.prediction_log + coalesce(r.residual_log, 0.0) as log_eth
    from _predictions as p
    left join _residuals as r on p.collection = r.collection and p.token_id = r.token_id
)

select
    t.collection,
    t.token_id,
    exp(p.log_eth) as estimate_eth,
    exp(p.log_eth - p.half_80) as lower_80_eth,
    exp(p.log_eth + p.half_80) as upper_80_eth,
    exp(p.log_eth - p.half_90) as lower_90_eth,
    exp(p.log_eth + p.half_90) as upper_90_eth,
    exp(p.log_eth + p.mean_log) as expected_eth,
    case when p.log_eth is null then 'none' else a.tier end as tier,
    case when p.log_eth is null then coalesce(_facts.no_value_reason, 'no_features') end as no_value_reason,
    case when p.log_eth is not null then a.model_version end as model_version,
    case when p.log_eth is not null then a.prior_version end as prior_version,
    $features as feature_fingerprint,
    coalesce(p.feature_as_of, _facts.as_of) as as_of,
    p.feature_watermark,
    $snapshot::bigint as snapshot_id,
    _facts.floor_eth,
    l.last_sale_eth
from marts.dim_tokens as t
inner join _facts on t.collection = _facts.collection
left join predicted as p on t.collection = p.collection and t.token_id = p.token_id
left join _assignment as a on t.collection = a.collection
left join last_sales as l on t.collection = l.collection and t.token_id = l.token_id
"""

_HISTORY_SQL = """
insert into predictions.estimate_history by name
select
    e.collection, e.token_id, e.estimate_eth, e.lower_80_eth, e.upper_80_eth, e.lower_90_eth, e.upper_90_eth,
    e.expected_eth, e.tier, e.model_version, e.prior_version, e.as_of, e.feature_watermark, e.snapshot_id
from predictions.token_estimates as e
inner join _facts on e.collection = _facts.collection
where
    e.estimate_eth is not null
    and not exists (
        select 1 from (
            select distinct collection, as_of, model_version from predictions.estimate_history
        ) as h
        where h.collection = e.collection and h.as_of = e.as_of and h.model_version = e.model_version
    )
"""


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
