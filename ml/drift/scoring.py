"""One pass of drift detection over a lake: find full windows that are not scored yet, score them, keep the scores.

Here: the order of the steps. Not here: the statement (`ml.drift.statement`), the tables (`ml.drift.tables`), the
reports (`ml.drift.reports`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ml.drift.config import DEFAULT_DRIFT, DriftConfig
from ml.drift.statement import MARKET_PREFIX, drift_sql, windows_sql
from ml.drift.subjects import KEY_ROWS, subject_rows
from ml.drift.tables import SCORED_WINDOWS, store
from ml.states import DriftState

#: Temporary table that a pass leaves on its connection: the scores to keep.
FRESH = "fresh_drift_scores"


@dataclass(frozen=True)
class DriftPass:
    """What a pass did.

    Attributes:
        collections: Collections and markets with a window that had not been scored.
        tests: Distributions tested in them (windows with too few sales are none).
        drifted: Collections with at least one drifted feature among those scored now.
        suspect: Collections with a significant newest window that is not a drift yet.
        seconds: Time it took.
    """

    collections: int
    tests: int
    drifted: int
    suspect: int
    seconds: float


def score_drift(
    con: duckdb.DuckDBPyConnection, as_of: datetime, config: DriftConfig = DEFAULT_DRIFT
) -> DriftPass:
    """Score every full window that is newer than the last one scored. Reads only, and leaves FRESH behind.

    Args:
        con: a connection of the lake.
        as_of: as-of time; nothing known from then on is used.
        config: thresholds.
    """
    began = time.monotonic()
    rows = subject_rows()
    con.execute(
        f"""
        create or replace temp table drift_due as
        select collection, is_market, window_sales, number
        from ({windows_sql(KEY_ROWS, config)})
        anti join ({SCORED_WINDOWS}) as scored using (collection, window_sales, number)
        """,
        {"as_of": as_of},
    )
    score_rows(con, rows, "drift_due", as_of, config)
    con.execute("drop table temp.drift_due")
    found = con.execute(
        f"""
        select
            count(distinct collection),
            count(p_value),
            count(distinct collection) filter (state = '{DriftState.DRIFTED}'),
            count(distinct collection) filter (state = '{DriftState.SUSPECT}')
        from {FRESH}
        """
    ).fetchone()
    collections, tests, drifted, suspect = found or (0, 0, 0, 0)
    return DriftPass(collections, tests, drifted, suspect, time.monotonic() - began)


def score_rows(
    con: duckdb.DuckDBPyConnection, rows: str, due: str, as_of: datetime, config: DriftConfig
) -> None:
    """Leave the scores of the due windows in FRESH.

    Args:
        con: any connection.
        rows: a query or table with collection, market, seq, known_at, readings.
        due: a table with what `windows_sql` gives.
        as_of: time of the data; nothing known at or after it is used.
        config: thresholds.
    """
    con.execute(f"create or replace temp table {FRESH} as {drift_sql(rows, due, config)}", {"as_of": as_of})


def keep_scores(con: duckdb.DuckDBPyConnection, as_of: datetime, config: DriftConfig = DEFAULT_DRIFT) -> None:
    """Store what `score_drift` left on this connection, in the caller's transaction."""
    store(con, FRESH, as_of, config)
    con.execute(f"drop table temp.{FRESH}")


def is_market(collection: str) -> bool:
    """Whether a row of the drift tables is about a whole market (all sales of a chain, by day)."""
    return collection.startswith(MARKET_PREFIX)
