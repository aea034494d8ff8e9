"""Reading the history of a collection from its tables, in order.

Here: one reader per table. Not here: what a history is (`orchestration.decisions.history`). Tables that a home does
not have yet are left out, and the history names them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake.bound import execute_bound
from lake.tables import is_empty
from ml.models.tuned_settings import COLLECTION, MARKET
from ml.registry.mirror import POOLED
from ml.states import CHAMPION_CHANGES, DriftState, Origin
from orchestration.collection_names import resolve_collection
from orchestration.decisions.history import MIN_SALES_OF_EFFECT, Effect, Event, History
from orchestration.states import ClockKind, EventKind

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

LEDGER = "monitoring.estimate_ledger"
# Order of events of the same time: causes before decisions.
_ORDER = (EventKind.DRIFT, EventKind.QUEUE, EventKind.TUNING, EventKind.PRIOR, EventKind.DECISION)
_CHANGES_THE_MODEL = frozenset(CHAMPION_CHANGES)


def read_history(con: duckdb.DuckDBPyConnection, home: Path, collection: str, watermark: datetime) -> History:
    """Read the history of one collection.

    Raises:
        HomeError: the home has no such collection, or several.
    """
    collection = resolve_collection(con, collection)
    market = _market_of(con, collection)
    missing: list[str] = []
    decided = _decisions(con, collection, watermark, missing)
    prior = _decisions(con, f"{POOLED} {market}", watermark, missing, kind=EventKind.PRIOR)
    events = [*decided, *prior, *_verdicts(con, collection, market, missing)]
    events += [*_drift(con, collection, missing), *_queued(con, collection, missing)]
    events.sort(key=lambda event: (event.at, _ORDER.index(event.kind)))
    return History(
        collection,
        market,
        watermark,
        _champion(con, collection, missing),
        (*events, *_incidents(home, collection)),
        tuple(dict.fromkeys(missing)),
    )


def _market_of(con: duckdb.DuckDBPyConnection, collection: str) -> str | None:
    row = execute_bound(
        con, "select chain from marts.dim_collections where collection = $given", {"given": collection}
    ).fetchone()
    return row[0] if row else None


def _rows(
    con: duckdb.DuckDBPyConnection, table: str, missing: list[str], where: str, **given: str | None
) -> list[dict[str, Any]]:
    if is_empty(con, table):
        missing.append(table)
        return []
    return execute_bound(con, f"select * from {table} where {where}", given).to_arrow_table().to_pylist()


def _decisions(
    con: duckdb.DuckDBPyConnection,
    name: str,
    watermark: datetime,
    missing: list[str],
    kind: EventKind = EventKind.DECISION,
) -> list[Event]:
    # Two runs may decide on the same newest sale: then the row that was written first was decided first.
    rows = _rows(con, "ops.decision_log", missing, "collection = $name order by decided_at, rowid", name=name)
    # A prior is shared by the collections of its market: its effect is measured with their own decisions.
    changes = (
        [row["decided_at"] for row in rows if row["action"] in _CHANGES_THE_MODEL]
        if kind == EventKind.DECISION
        else []
    )
    effects = _effects(con, name, changes, watermark, missing) if changes else {}
    recorded = _recorded_effects(con, name, missing) if kind == EventKind.DECISION else {}
    return [
        Event(
            at=row["decided_at"],
            kind=kind,
            what=row["action"],
            why=row["reason"],
            rule=row["rule"],
            numbers=json.loads(row["numbers"] or "{}"),
            models=(row["champion"], row["challenger"]),
            effect=recorded.get((row["decided_at"], row["run_id"]))
            or (effects.get(row["decided_at"]) if row["action"] in _CHANGES_THE_MODEL else None),
        )
        for row in rows
    ]


def _effects(
    con: duckdb.DuckDBPyConnection,
    collection: str,
    changes: list[datetime],
    watermark: datetime,
    missing: list[str],
) -> dict[datetime, Effect]:
    """Errors in the ledger between one change of the model and the next."""
    if is_empty(con, LEDGER):
        missing.append(LEDGER)
        return {}
    periods = execute_bound(
        con,
        f"""
        with starts as (select unnest($changes::timestamp[]) as start_at),
        periods as (select start_at, coalesce(lead(start_at) over (order by start_at), $until) as end_at from starts)
        select p.start_at, count(l.estimate_eth),
            median(abs(l.estimate_eth / l.price_eth - 1)), median(abs(l.med_5_eth / l.price_eth - 1))
        from periods p
        left join {LEDGER} l on l.collection = $collection and l.is_arms_length and l.origin = '{Origin.LIVE}'
            and l.estimate_eth is not null and l.as_of >= p.start_at and l.as_of < p.end_at and l.event_time < $until
        group by p.start_at order by p.start_at
        """,
        {"changes": sorted(set(changes)), "until": watermark, "collection": collection},
    ).fetchall()
    effects: dict[datetime, Effect] = {}
    before: tuple[int, float | None] = (0, None)
    for start, sales, error, baseline in periods:
        measured = error if sales >= MIN_SALES_OF_EFFECT else None
        effects[start] = Effect(sales, measured, baseline if measured is not None else None, *before)
        before = (sales, measured)
    return effects


def _recorded_effects(
    con: duckdb.DuckDBPyConnection, collection: str, missing: list[str]
) -> dict[tuple[datetime, str], Effect]:
    """Effects that a monitoring pass has measured and kept, by time and run of the decision."""
    return {
        (row["decided_at"], row["run_id"]): Effect(
            row["n_after"],
            row["mdape_after"],
            row["med_5_after"],
            row["n_before"],
            row["mdape_before"],
            row["verdict"],
        )
        for row in _rows(con, "ops.decision_effects", missing, "collection = $name", name=collection)
    }


def _verdicts(
    con: duckdb.DuckDBPyConnection, collection: str, market: str | None, missing: list[str]
) -> list[Event]:
    rows = _rows(
        con,
        "ops.tuned_settings",
        missing,
        f"(scope_kind = '{COLLECTION}' and scope = $name) or (scope_kind = '{MARKET}' and scope = $market)",
        name=collection,
        market=market,
    )
    return [
        Event(
            at=row["decided_at"],
            kind=EventKind.TUNING,
            what=f"{'adopted' if row['adopted'] else 'not adopted'} for the {row['scope_kind']}",
            why=row["reason"],
            rule=row["rule"],
            numbers={
                "gain": row["gain"],
                "gain_low": row["gain_low"],
                "gain_high": row["gain_high"],
                "sales": row["sales"],
                "trials": row["trials"],
            },
        )
        for row in rows
    ]


def _drift(con: duckdb.DuckDBPyConnection, collection: str, missing: list[str]) -> list[Event]:
    """Each time a feature was found drifted, at the end of the window in which it was."""
    rows = _rows(
        con,
        "monitoring.drift_scores",
        missing,
        f"collection = $name and state = '{DriftState.DRIFTED}' order by window_end, feature",
        name=collection,
    )
    return [
        Event(
            at=row["window_end"],
            kind=EventKind.DRIFT,
            what=f"{row['feature']} drifted",
            why=f"{row['kind']} drift over {row['n_current']} sales against {row['n_reference']} before",
            rule=f"window {row['streak']} in a row",
            numbers={name: row[name] for name in ("psi", "ks", "ordinary_ks", "q_value")},
        )
        for row in rows
    ]


def _queued(con: duckdb.DuckDBPyConnection, collection: str, missing: list[str]) -> list[Event]:
    return [
        Event(
            at=row["first_seen"],
            kind=EventKind.QUEUE,
            what=f"{row['kind']}, {row['state']}",
            why=row["reason"],
            numbers={
                name: row[name]
                for name in ("priority", "value_eth", "severity", "attempts", "launched_at", "cooling_until")
                if row[name] is not None
            },
        )
        for row in _rows(con, "ops.retrain_queue", missing, "collection = $name", name=collection)
    ]


def _champion(con: duckdb.DuckDBPyConnection, collection: str, missing: list[str]) -> dict[str, Any] | None:
    rows = _rows(con, "ops.champions", missing, "collection = $name", name=collection)
    if not rows:
        return None
    kept = ("version", "tier", "prior_version", "weight", "trained_until", "previous_version")
    return {name: rows[0][name] for name in kept}


def _incidents(home: Path, collection: str) -> list[Event]:
    """Incidents whose key is about this collection (`drift/cryptopunks`), by wall clock."""
    from orchestration.alerts.keys import incident_key
    from orchestration.alerts.store import OUTBOX_FILE, Outbox, parse_stamp
    from orchestration.monitoring import drift
    from orchestration.retraining import notices

    if not (home / OUTBOX_FILE).exists():
        return []
    scopes = (drift.SCOPE, notices.DEGRADED_SCOPE, notices.RESTORED_SCOPE)
    about = {incident_key(scope, collection) for scope in scopes}
    rows = Outbox.of(home).rows(
        "select key, severity, title, state, first_seen, resolved_at, occurrences from incidents order by first_seen"
    )
    return [
        Event(
            at=parse_stamp(row["first_seen"]),
            kind=EventKind.ALERT,
            what=f"{row['severity']}, {row['state']}",
            why=row["title"],
            numbers={"found": row["occurrences"], "until": row["resolved_at"]},
            clock=ClockKind.WALL,
        )
        for row in rows
        if row["key"] in about
    ]
