"""The newest run of a home, read from Dagster's file without Dagster.

Here: one row, for commands that only read; importing Dagster takes two seconds. Not here: anything that changes runs.
A test compares it with Dagster's own answer.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = Path("dagster") / "history" / "runs.db"
"""In a home."""


def last_run(home: Path) -> dict[str, Any] | None:
    """Id, job, status and end (ISO 8601, UTC; None while it runs) of the newest run; None before the first."""
    path = home / FILE
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as con:
        if not con.execute("select 1 from sqlite_master where name = 'runs'").fetchone():
            return None
        row = con.execute(
            "select run_id, pipeline_name, status, end_time from runs order by id desc limit 1"
        ).fetchone()
    if row is None:
        return None
    run_id, job, status, ended = row
    return {
        "run_id": run_id,
        "job": job,
        "status": status.lower(),
        "ended_at": None if ended is None else f"{datetime.fromtimestamp(ended, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
