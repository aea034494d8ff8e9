"""The minutes in which an API was expected to answer, from the request log, as temporary tables of a DuckDB connection.

Here: who was expected when, and what was answered. Not here: writing the log (`request_log`), or judging (service
levels and the watchdog, both in `orchestration`).

Concept: a server is expected from its start to its orderly stop. A minute is judged a minute after its end, when all
workers have written it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

MINUTES, REQUESTS = "platform_api_minutes", "platform_api_requests"

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


@dataclass(frozen=True)
class ApiWatch:
    """Where the requests of a home are.

    Attributes:
        log: The request log of its API; there is none where none ever ran.
        now: Wall-clock time, naive UTC.
        always: Whether an API that was stopped counts as down, too: its last address for ever, an earlier one until it
            has not answered for `ENDED_AFTER`.
    """

    log: Path
    now: datetime
    always: bool = False


def register_minutes(con: duckdb.DuckDBPyConnection, watch: ApiWatch, start: int, end: int) -> None:
    """Make the tables of [start, end), seconds since 1970; both are whole minutes.

    `platform_api_minutes` has a row per address and minute in which an API was expected there, `platform_api_requests`
    one per minute and route in which something was answered.

    Raises:
        sqlite3.Error: The log is not there, or cannot be read.
    """
    servers, counts = _read(watch.log, start - int(ENDED_AFTER.total_seconds()), end)
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
        where
            ($always or s.stopped_at is null or s.stopped_at >= m.minute + 60)
            and (
                m.minute - coalesce(n.answered_at, s.started_at) <= $ended
                -- where an API must always run, one address stays: the last that was used
                or $always and s.started_at = (select max(started_at) from _servers)
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


def unanswered_addresses(watch: ApiWatch, minutes: int) -> list[str]:
    """Addresses where an API was expected in each of the newest minutes that can be judged, and answered in none.

    Raises:
        sqlite3.Error: The log is not there, or cannot be read.
    """
    import duckdb

    end = judged_until(watch.now)
    with closing(duckdb.connect(config={"threads": 1})) as con:
        register_minutes(con, watch, end - 60 * minutes, end)
        found = con.execute(
            f"select address from {MINUTES} where not is_up group by address having count(*) = $1 order by address",
            [minutes],
        ).fetchall()
    return [address for (address,) in found]


def judged_until(at: datetime) -> int:
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
