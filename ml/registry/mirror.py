"""The lake's mirror of the registry: what inference reads set-wise.

Here: reading champions from ops.champions, writing them together with the decisions that made them, rollback,
and taking over a champion moved by hand in the registry. Not here: the registry itself (`ml.registry.champions`).

Concept: MLflow is the registry of record and has no efficient set-wise read; the lake has no aliases. A
promotion is written to the registry first, then to the mirror in one transaction with its decision row.
Killed in between, the mirror still names the old champion, the next training decides again from the same
lake, finds its version already registered, and only the mirror's half is left to do: the decision is never
lost and never doubled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from ml.registry.champion import Champion
from ml.registry.champions import ALIAS_CHAMPION, ALIAS_PREVIOUS, ChampionRegistry
from ml.registry.errors import RegistryError
from ml.states import Action
from ml.tables.writing import append


@dataclass(frozen=True)
class Decision:
    """One row of ops.decision_log.

    Attributes:
        decided_at: Newest `known_at` in the data it was decided on (UTC), so that a rerun decides at the
            same time.
        run_id: The run that decided.
        collection: Whose champion, or `POOLED` for the pooled prior.
        action: promoted, rejected, kept, rolled_back or fell_back.
        rule: The rule that decided.
        reason: The same for people.
        numbers: What was measured, and the prior version it was measured with.
        challenger: Model version or identity of the challenger.
        champion: Model version of the champion before, or None.
    """

    decided_at: datetime
    run_id: str
    collection: str
    action: str
    rule: str
    reason: str
    numbers: dict[str, Any]
    challenger: str | None
    champion: str | None


POOLED = "(pooled prior)"
"""Stands in ops.decision_log for the prior of all collections."""

_COLUMNS = (
    "collection",
    "version",
    "tier",
    "prior_version",
    "local_sha",
    "weight",
    "index_fingerprint",
    "feature_fingerprint",
    "trained_until",
    "snapshot_id",
    "previous_version",
    "numbers",
)

_CHAMPION_SCHEMA = pa.schema(
    [
        ("collection", pa.string()),
        ("version", pa.int64()),
        ("tier", pa.string()),
        ("prior_version", pa.string()),
        ("local_sha", pa.string()),
        ("weight", pa.float64()),
        ("index_fingerprint", pa.string()),
        ("feature_fingerprint", pa.string()),
        ("trained_until", pa.timestamp("us")),
        ("snapshot_id", pa.int64()),
        ("previous_version", pa.int64()),
        ("numbers", pa.string()),
    ]
)

_DECISION_SCHEMA = pa.schema(
    [
        ("decided_at", pa.timestamp("us")),
        *((name, pa.string()) for name in ("run_id", "collection", "action", "rule", "reason", "numbers")),
        ("challenger", pa.string()),
        ("champion", pa.string()),
    ]
)


def read_champions(
    con: duckdb.DuckDBPyConnection, collections: Sequence[str] | None = None
) -> dict[str, Champion]:
    """The champions that the lake knows, by collection; all of them when `collections` is None."""
    chosen = "" if collections is None else "where collection in (select unnest($1))"
    rows = con.execute(
        f"select {', '.join(_COLUMNS)} from ops.champions {chosen} order by collection",
        [] if collections is None else [list(collections)],
    ).fetchall()
    champions = (Champion.from_row(dict(zip(_COLUMNS, row, strict=True))) for row in rows)
    return {champion.collection: champion for champion in champions}


def record(
    con: duckdb.DuckDBPyConnection, champions: Iterable[Champion], decisions: Iterable[Decision]
) -> None:
    """Write new champions over old ones and append the decisions, in the caller's transaction."""
    rows = pa.Table.from_pylist([champion.as_row() for champion in champions], schema=_CHAMPION_SCHEMA)
    if rows.num_rows:
        con.register("_champions", rows)
        try:
            con.execute("delete from ops.champions where collection in (select collection from _champions)")
        finally:
            con.unregister("_champions")
        append(con, "ops.champions", rows)
    log = pa.Table.from_pylist([_decision_row(decision) for decision in decisions], schema=_DECISION_SCHEMA)
    if log.num_rows:
        append(con, "ops.decision_log", log)


def rollback(
    con: duckdb.DuckDBPyConnection,
    registry: ChampionRegistry,
    collection: str,
    run_id: str,
    reason: str,
    *,
    rule: str = "rollback",
    decided_at: datetime | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> Champion:
    """Put a collection's previous champion back, in the registry and in the lake, with a decision row.

    Args:
        con: A write connection of the lake.
        registry: The registry of record.
        collection: Whose champion to replace.
        run_id: The run or person that does it.
        reason: Why, for people.
        rule: The rule that decided.
        decided_at: Newest `known_at` in the data it was decided on; what the replaced champion has seen when None.
        numbers: What was measured; the restored champion's own numbers when None.

    Returns:
        The new champion.

    Raises:
        NothingToRollBackError: When there is no previous version.
        RegistryError: The registry refused.
    """
    before = read_champions(con, [collection]).get(collection)
    restored = registry.rollback(collection, before)
    decided = decided_at or (before.trained_until if before else restored.trained_until)
    decision = Decision(
        decided,
        run_id,
        collection,
        Action.ROLLED_BACK,
        rule,
        reason,
        restored.numbers if numbers is None else dict(numbers),
        restored.model_version,
        before.model_version if before else None,
    )
    record(con, [restored], [decision])
    return restored


def adopt_moved_aliases(
    con: duckdb.DuckDBPyConnection, registry: ChampionRegistry, run_id: str
) -> list[Champion]:
    """Take over champions that were moved back in the registry by hand.

    A registry champion *older* than the lake's was moved by hand: the lake takes it over. A *newer* one was
    registered by a training that was killed before its commit: the next training finishes it, so it is left alone
    here. One that the registry cannot describe is left too, with a decision row about it.

    Args:
        con: A write connection of the lake.
        registry: The registry of record.
        run_id: The run that checks.

    Returns:
        The champions taken over.
    """
    known = read_champions(con)
    adopted, decisions = [], []
    for collection, aliases in registry.aliases().items():
        ours, theirs = known.get(collection), aliases.get(ALIAS_CHAMPION)
        if ours is None or theirs is None or theirs >= ours.version:
            continue
        try:
            champion = registry.version(collection, theirs, aliases.get(ALIAS_PREVIOUS))
        except RegistryError as error:
            decisions.append(
                Decision(
                    ours.trained_until,
                    run_id,
                    collection,
                    Action.KEPT,
                    "registry_unreadable",
                    f"the registry's champion is version {theirs}, which cannot be taken over: {error}",
                    {},
                    f"{collection}@{theirs}",
                    ours.model_version,
                )
            )
            continue
        adopted.append(champion)
        decisions.append(
            Decision(
                ours.trained_until,
                run_id,
                collection,
                Action.ROLLED_BACK,
                "moved_in_registry",
                f"the registry's champion is version {theirs}, the lake's was {ours.version}",
                champion.numbers,
                champion.model_version,
                ours.model_version,
            )
        )
    record(con, adopted, decisions)
    return adopted


def _decision_row(decision: Decision) -> dict[str, Any]:
    return {**decision.__dict__, "numbers": json.dumps(decision.numbers, sort_keys=True)}
