"""Scoring: an honest answer for every token, from champions alone.

Here: `score`, which has the tokens of every collection predicted by who speaks for it, and writes
predictions.token_estimates and predictions.estimate_history. Not here: training of any kind, who speaks (`speaking`),
or the predictions themselves (`token_predictions`).

Concept: every token gets a row. Own model → pooled prior → index with rarity → no value with its reason, by
what its collection's data supports at this moment (ARCHITECTURE.md §4); a champion whose files are lost or
whose features do not fit is not stretched but replaced by the next honest tier, and the report says so. Same
inputs, same rows: a rerun adds no history.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.models.estimates import write_estimates
from ml.models.frames import FeatureSet
from ml.models.priors_in_use import load_priors
from ml.models.speaking import assign, collection_facts, demote, own_models, usable_champions
from ml.models.tables import create_tables
from ml.models.token_predictions import (
    PREDICTION_SCHEMA,
    predict_residuals,
    predict_tokens,
)
from ml.registry.artifacts import ArtifactStore


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
    """
    config = config or ScoringConfig()
    features = features or FeatureSet.declared()
    clock = _Clock()
    create_tables(con, ["predictions.token_estimates", "predictions.estimate_history"])
    pooled = load_priors(con, artifacts, as_of, features)
    champions, replaced = usable_champions(con, only, pooled, features, artifacts)
    collection_facts(con, as_of, only, min_sales=config.min_sales, silent_days=config.silent_days)
    assign(con, champions, pooled)
    clock.lap("champions")
    batches = predict_tokens(con, pooled.models, features, config.batch_rows, config.threads)
    predictions = pa.Table.from_batches(list(batches), schema=PREDICTION_SCHEMA)
    clock.lap("pooled pass")
    speaking = own_models(con)
    with_booster = {key: champions[key] for key in speaking if champions[key].local_sha}
    residuals, refused = predict_residuals(
        con, with_booster, artifacts, features, config.collections_per_read
    )
    replaced |= refused
    demote(con, refused)
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
