"""The tables of acting: the queue of collections that need something, and what decisions brought.

Here: columns and grain. Not here: who is queued (`queue`), or how an effect is measured (`effects`).
"""

from __future__ import annotations

import duckdb

QUEUE = "ops.retrain_queue"
EFFECTS = "ops.decision_effects"

RETRAIN, RETUNE = "retrain", "retune"
"""What a row of the queue asks for: a new fit, or new settings before the next fit."""

QUEUED, LAUNCHED, COOLING, DONE = "queued", "launched", "cooling", "done"
"""Waiting for a run; in a run; trained, and its new sales are awaited; nothing to do any more."""

TABLES = {
    # key: collection. One row per collection that ever needed something. `priority` is `value_eth` (sum of its
    # estimates) times `severity` (expected excess error, a fraction of the price); `run_id` is the run that trained it.
    QUEUE: """
        collection varchar, kind varchar, reason varchar, value_eth double, severity double, priority double,
        first_seen timestamp, last_seen timestamp, attempts bigint, launched_at timestamp, last_trained timestamp,
        cooling_until timestamp, run_id varchar, state varchar
    """,
    # key: (collection, decided_at, run_id). Errors before and after are MdAPE of clean sales; `z`: by how many standard
    # errors the model's excess over med_5 changed (negative is better); verdict: helped, hurt or no_difference.
    EFFECTS: """
        collection varchar, decided_at timestamp, run_id varchar, action varchar, measured_at timestamp,
        n_before bigint, mdape_before double, med_5_before double, n_after bigint, mdape_after double,
        med_5_after double, z double, verdict varchar
    """,
}


def create_acting_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make both where they are missing."""
    con.execute("create schema if not exists ops")
    for name, columns in TABLES.items():
        con.execute(f"create table if not exists {name} ({columns})")
