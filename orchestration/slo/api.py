"""Data about the API for SLIs: its request log, as the temporary tables `platform.api_minutes` and `api_requests`.

Here: which minutes an API was expected to answer in and did, and what it answered. Not here: judging (an SLI's SQL
does), or writing the log (`serving.metrics.request_log`).

Requests happen in wall-clock time, which has nothing to do with `$as_of`. So the tables hold the minutes since the
evaluation before, and their SQL compares them with nothing. A minute is judged a minute after its end, when all workers
have written it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from ml.tables.monitoring import SLO_SAMPLES
from orchestration.slo.budget import WIDEST

if TYPE_CHECKING:
    import duckdb

    from orchestration.resources import Assay

MINUTES, REQUESTS = "platform_api_minutes", "platform_api_requests"
LONGEST = timedelta(days=30)
"""What is judged at once after a long pause: the window of an error budget."""

ENDED_AFTER = timedelta(days=14)
"""An address that has not answered for so long has ended, as a source has (ADR 18)."""

_BUSY_TIMEOUT_S = 10.0
_SERVERS = pa.schema(
    {"server": pa.string(), "address": pa.string(), "started_at": pa.float64(), "stopped_at": pa.float64()}
)
_COUNTS = pa.schema(
    {
        "minute": pa.int64(),
        "server": pa.string(),
        "route": pa.string(),
        **dict.fromkeys(("requests", "errors", "within_10ms", "within_100ms", "within_1s"), pa.int64()),
    }
)
_log = logging.getLogger("assay.slo")


@dataclass(frozen=True)
class ApiWatch:
    """Where the requests of a home are.

    Attributes:
        log: The request log of its API; there is none where none ever ran.
        now: Wall-clock time, naive UTC.
        always: Whether an API that was stopped counts as down, too.
    """

    log: Path
    now: datetime
    always: bool = False

    @classmethod
    def of(cls, assay: Assay) -> ApiWatch:
        """That of a home."""
        from serving.api.keys import keys_folder
        from serving.metrics.request_log import FILE

        settings = assay.settings
        return cls(keys_folder(settings.home_path) / FILE, assay.clock.now(), settings.api_expected)


def register_api(con: duckdb.DuckDBPyConnection, watch: ApiWatch, as_of: datetime) -> None:
    """Make the temporary tables; none without a log that can be read, so that its SLOs have no data.

    `platform_api_minutes` has a row per address and minute in which an API was expected there, `platform_api_requests`
    one per minute and route in which something was answered.

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
    start, end = _judged_until(since), _judged_until(watch.now)
    try:
        servers, counts = _read(watch.log, start - int(ENDED_AFTER.total_seconds()), end)
    except sqlite3.Error as error:
        _log.warning("the request log %s cannot be read, so the API is not judged: %s", watch.log, error)
        return
    con.register("_servers", pa.Table.from_pylist(servers, schema=_SERVERS))
    con.register("_counts", pa.Table.from_pylist(counts, schema=_COUNTS))
    given = {
        "start": start,
        "end": end,
        "always": watch.always,
        "ended": ENDED_AFTER.total_seconds(),
    }
    con.execute(
        f"""
        create or replace temp table {MINUTES} as
        with minutes as (select unnest(range($start::bigint, $end::bigint, 60)) as minute),
        -- Whoever starts at an address replaces who was there before.
        starts as (
            select *, lead(started_at) over (partition by address order by started_at) as next_at from _servers
        ),
        answered as (select distinct address, minute from _counts join _servers using (server)),
        newest as (
            select m.minute, s.address, max(a.minute) as answered_at
            from minutes m cross join (select distinct address from _servers) s
            left join answered a on a.address = s.address and a.minute <= m.minute
            group by all
        )
        select to_timestamp(m.minute)::timestamp as minute, s.address,
            coalesce(n.answered_at = m.minute, false) as is_up
        from minutes m
        join starts s on s.started_at <= m.minute and (s.next_at is null or s.next_at > m.minute)
        join newest n on n.minute = m.minute and n.address = s.address
        where $always or (
            (s.stopped_at is null or s.stopped_at >= m.minute + 60)
            and m.minute - coalesce(n.answered_at, s.started_at) <= $ended
        )
        """,
        given,
    )
    con.execute(
        f"""
        create or replace temp table {REQUESTS} as
        select to_timestamp(minute)::timestamp as minute, route, sum(requests)::bigint as requests,
            sum(errors)::bigint as errors, sum(within_10ms)::bigint as within_10ms,
            sum(within_100ms)::bigint as within_100ms, sum(within_1s)::bigint as within_1s
        from _counts where minute >= $start and requests > 0 group by all
        """,
        {"start": start},
    )
    con.unregister("_servers")
    con.unregister("_counts")


def _judged_until(at: datetime) -> int:
    """End of the last minute that all workers have written by then, seconds since 1970."""
    return int(at.replace(tzinfo=UTC).timestamp() // 60) * 60 - 60


def _read(path: Path, start: int, end: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Servers and their minutes of [start, end)."""
    uri = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S)) as con:
        con.row_factory = sqlite3.Row
        servers = con.execute("select * from servers").fetchall()
        counts = con.execute(
            "select minute, server, route, sum(requests) as requests, sum(errors) as errors,"
            " sum(within_10ms) as within_10ms, sum(within_100ms) as within_100ms, sum(within_1s) as within_1s"
            " from minutes where minute >= ? and minute < ? group by minute, server, route",
            (start, end),
        ).fetchall()
    return _dicts(servers), _dicts(counts)


def _dicts(rows: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
