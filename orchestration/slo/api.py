"""Data about the API for SLIs: its request log, as the temporary tables `platform.api_minutes` and `api_requests`.

Here: which minutes an evaluation is about. Not here: who was expected in them and answered
(`serving.metrics.expected_minutes`), or judging (an SLI's SQL does).

Requests happen in wall-clock time, which has nothing to do with `$as_of`. So the tables hold the minutes since the
evaluation before, and their SQL compares them with nothing.
"""

from __future__ import annotations

import logging
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml.tables.monitoring import SLO_SAMPLES
from orchestration.slo.budget import WIDEST
from serving.metrics.expected_minutes import ApiWatch, judged_until, register_minutes

if TYPE_CHECKING:
    import duckdb

LONGEST = timedelta(days=30)
"""What is judged at once after a long pause: the window of an error budget."""

_log = logging.getLogger("assay.slo")


def register_api(con: duckdb.DuckDBPyConnection, watch: ApiWatch, as_of: datetime) -> None:
    """Make the temporary tables; none without a log that can be read, so that its SLOs have no data.

    Args:
        con: A reading connection of the lake.
        watch: Where the log is.
        as_of: Of this evaluation: one for the same time is replaced, and its minutes are counted again.
    """
    if not watch.log.exists():
        return
    measured = con.execute(
        f"select max(measured_at) from {SLO_SAMPLES.name} where evaluated_at < $1", [as_of]
    ).fetchone()
    before = measured[0] if measured else None
    since = max(before or watch.now - WIDEST, watch.now - LONGEST)
    start, end = judged_until(since), judged_until(watch.now)
    try:
        register_minutes(con, watch, start, end)
    except sqlite3.Error as error:
        _log.warning("the request log %s cannot be read, so the API is not judged: %s", watch.log, error)
