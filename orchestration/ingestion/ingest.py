"""From a source into the lake: day by day, each day once, exactly as the source delivers it.

Here: which days are missing, and writing rows, quarantine and the log of both in one transaction.
Not here: what a valid row is (`sources.validation`), or when to ingest (`assets`).

A day is a UTC day of *arrival* (`known_at`), see docs/adr/0005. `ops.ingest_log` has one row per
(table, source, day); because it is written with the rows, a killed ingestion leaves whole days only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from sources.contract import QUARANTINE, TRUTH_TABLES, raw_table
from sources.protocol import SourceBatch, TruthfulSource

if TYPE_CHECKING:
    import duckdb

    from lake.connection import Lake
    from sources.protocol import Source

# Ends the fingerprint of a day that was read before it was over.
UNFINISHED = " unfinished"

# Rows held in memory before a transaction is written: about 200 MB of sales.
ROWS_PER_TRANSACTION = 500_000


@dataclass
class IngestReport:
    """What one ingestion did. Counts are rows; `days` are arrival days (re)written."""

    table: str
    days: int = 0
    rows: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass
class _Chunk:
    """Rows of some consecutive days, by table, waiting for their transaction."""

    start: datetime
    end: datetime
    batches: dict[str, list[SourceBatch]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(b.num_source_rows for batches in self.batches.values() for b in batches)


def ingest_window(
    lake: Lake,
    source: Source,
    tables: Sequence[str],
    start: datetime,
    end: datetime,
    *,
    append_only: bool = False,
) -> dict[str, IngestReport]:
    """Bring raw tables up to date with what `source` knows for start <= known_at < end.

    Month by month, all tables together: a source that has to make or fetch a month does it once.
    Days whose logged fingerprint equals the source's are left alone, so running it again changes nothing,
    and a corrected or late row of an old day replaces exactly that day. With `append_only` the source is
    trusted never to change a day it has delivered, and is not asked for it again.

    Returns:
        What was done, by table.

    Raises:
        sources.protocol.SourceError: a file cannot be read at all (names file and expectation).
    """
    reports = {table: IngestReport(table) for table in tables}
    if append_only:
        start = max(start, _first_missing_day(lake, source.name, tables, start, end))
    chunk: _Chunk | None = None
    for month_start, month_end in _months(start, end):
        chunk = chunk or _Chunk(month_start, month_end)
        chunk.end = month_end
        for table in tables:
            chunk.batches.setdefault(table, []).extend(source.read(table, month_start, month_end))
        if chunk.size >= ROWS_PER_TRANSACTION:
            _write(lake, source.name, chunk, reports)
            chunk = None
    if chunk is not None:
        _write(lake, source.name, chunk, reports)
    return reports


def _months(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut at the beginning of every month."""
    while start < end:
        midnight = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        next_month = (midnight + timedelta(days=32)).replace(day=1)
        yield start, min(end, next_month)
        start = next_month


def _first_missing_day(
    lake: Lake, source: str, tables: Sequence[str], start: datetime, end: datetime
) -> datetime:
    """The first day of the window that is not logged, whole, for every one of the tables; `end` when there is none.

    Not simply the day after the newest: a month can have been asked for alone, and `as_of` can have cut a day.
    """
    with lake.read() as con:
        row = con.execute(
            """
            with days as (
                select unnest(generate_series(cast($start as date), cast($last as date), interval 1 day))::date as day
            ),
            whole as (
                select day from ops.ingest_log
                where source = $source and list_contains($tables, table_name)
                    and not ends_with(fingerprint, $unfinished)
                group by day having count(distinct table_name) = len($tables)
            )
            select min(day)::timestamp from days where day not in (select day from whole)
            """,
            {
                "start": start,
                "last": end - timedelta(microseconds=1),
                "source": source,
                "tables": list(tables),
                "unfinished": UNFINISHED,
            },
        ).fetchone()
    return row[0] if row and row[0] is not None else end


def _write(lake: Lake, source: str, chunk: _Chunk, reports: dict[str, IngestReport]) -> None:
    """One transaction: in every table, replace the days of the chunk that differ from the log."""
    with lake.write(f"ingest {chunk.start:%Y-%m-%d}..{chunk.end:%Y-%m-%d}") as con:
        for table, batches in chunk.batches.items():
            empty, nothing_refused = raw_table(table).schema.empty_table(), QUARANTINE.schema.empty_table()
            con.register("incoming", pa.concat_tables([empty, *(b.rows for b in batches)]))
            con.register(
                "incoming_rejected", pa.concat_tables([nothing_refused, *(b.rejected for b in batches)])
            )
            _fingerprint_days(con, source, table, chunk)
            _replace_changed_days(con, source, table, reports[table])
            con.execute("drop table changed_days")
            con.unregister("incoming")
            con.unregister("incoming_rejected")


def _replace_changed_days(
    con: duckdb.DuckDBPyConnection, source: str, table: str, report: IngestReport
) -> None:
    changed = con.execute(
        "select count(*), count_if(was_logged), coalesce(sum(rows), 0), coalesce(sum(quarantined), 0) from changed_days"
    ).fetchone()
    assert changed is not None
    days, relogged, rows, quarantined = changed
    if not days:
        return
    if relogged:
        _delete_days(con, source, table)
    _insert_days(con, table)
    con.execute(
        "insert into ops.ingest_log by name select $table as table_name, $source as source, day, rows, quarantined,"
        " fingerprint from changed_days",
        {"table": table, "source": source},
    )
    reasons = con.execute(
        "select reason, count(*) from incoming_rejected r semi join changed_days d on cast(r.known_at as date) = d.day"
        " group by all"
    ).fetchall()
    report.days += days
    report.rows += rows
    report.quarantined += quarantined
    for reason, n in reasons:
        report.reasons[reason] = report.reasons.get(reason, 0) + n


def _fingerprint_days(con: duckdb.DuckDBPyConnection, source: str, table: str, chunk: _Chunk) -> None:
    """Temp table `changed_days`: every day of the chunk whose content differs from the log.

    The fingerprint is a sum of row hashes, not an xor: two identical rows must not cancel out.
    """
    con.execute(
        """
        create or replace temp table changed_days as
        with days as (
            select unnest(generate_series(cast($start as date), cast($last as date), interval 1 day))::date as day
        ),
        good as (
            select cast(known_at as date) as day, count(*) as n, sum(hash(incoming)::hugeint) as h
            from incoming group by all
        ),
        bad as (
            select cast(known_at as date) as day, count(*) as n, sum(hash(incoming_rejected)::hugeint) as h
            from incoming_rejected group by all
        ),
        incoming_days as (
            select
                days.day,
                coalesce(good.n, 0) as rows,
                coalesce(bad.n, 0) as quarantined,
                md5(concat_ws('/', coalesce(good.h, 0), coalesce(bad.h, 0)))
                || case when days.day + interval 1 day > $end then $unfinished else '' end as fingerprint
            from days
            left join good using (day)
            left join bad using (day)
        ),
        logged as (
            select day, fingerprint from ops.ingest_log where source = $source and table_name = $table
        )
        select incoming_days.*, logged.day is not null as was_logged
        from incoming_days
        left join logged using (day)
        where logged.fingerprint is distinct from incoming_days.fingerprint
        """,
        {
            "start": chunk.start,
            "last": chunk.end - timedelta(microseconds=1),
            "end": chunk.end,
            "unfinished": UNFINISHED,
            "source": source,
            "table": table,
        },
    )


def _delete_days(con: duckdb.DuckDBPyConnection, source: str, table: str) -> None:
    """Forget the changed days.

    By day alone: a row's `source` names the marketplace or chain, not the adapter that read it, and a home has one
    adapter.
    """
    days = "(select day from changed_days)"
    con.execute(f"delete from raw.{table} where cast(known_at as date) in {days}")
    con.execute(
        f"delete from raw.quarantine where table_name = ? and cast(known_at as date) in {days}", [table]
    )
    con.execute(
        f"delete from ops.ingest_log where source = ? and table_name = ? and day in {days}", [source, table]
    )


def _insert_days(con: duckdb.DuckDBPyConnection, table: str) -> None:
    for target, incoming in ((table, "incoming"), ("quarantine", "incoming_rejected")):
        con.execute(
            f"insert into raw.{target} by name"
            f" select i.* from {incoming} i semi join changed_days d on cast(i.known_at as date) = d.day"
        )


def ingest_truth(lake: Lake, source: Source) -> int:
    """Replace schema `truth` by the source's hidden values up to its watermark; returns rows.

    Sources other than the simulator have none: nothing happens.
    """
    if not isinstance(source, TruthfulSource):
        return 0
    total = 0
    with lake.write("keep the hidden truth") as con:
        for name, table in TRUTH_TABLES.items():
            con.execute(f"delete from truth.{name}")
            for rows in source.truth(name):
                con.register("incoming", rows.cast(table.schema))
                con.execute(f"insert into truth.{name} by name select * from incoming")
                con.unregister("incoming")
                total += rows.num_rows
    return total
