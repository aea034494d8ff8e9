"""The newest run of a home, read from Dagster's file or database without Dagster.

Here: one row, for commands that only read; importing Dagster takes two seconds. Not here: anything that changes runs.
A test compares it with Dagster's own answer.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.run_database import SCHEMA, connect

FILE = Path("dagster") / "history" / "runs.db"
"""In a home."""


_NEWEST = "select run_id, pipeline_name, status, end_time from {runs} order by id desc limit 1"


def last_run(home: Path, database: str | None = None) -> dict[str, Any] | None:
    """Id, job, status and end (ISO 8601, UTC; None while it runs) of the newest run; None before the first.

    Args:
        home: The home.
        database: URL of the database that has the runs; None: they are in the home.
    """
    row = _in_home(home) if database is None else _in_database(database)
    if row is None:
        return None
    run_id, job, status, ended = row
    return {
        "run_id": run_id,
        "job": job,
        "status": status.lower(),
        "ended_at": None if ended is None else f"{datetime.fromtimestamp(ended, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _in_home(home: Path) -> tuple[Any, ...] | None:
    path = home / FILE
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as con:
        if not con.execute("select 1 from sqlite_master where name = 'runs'").fetchone():
            return None
        row: tuple[Any, ...] | None = con.execute(_NEWEST.format(runs="runs")).fetchone()
    return row


def _in_database(url: str) -> tuple[Any, ...] | None:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [f"{SCHEMA}.runs"])
        if cursor.fetchone() != (True,):
            return None
        cursor.execute(_NEWEST.format(runs=f"{SCHEMA}.runs"))
        return cursor.fetchone()
