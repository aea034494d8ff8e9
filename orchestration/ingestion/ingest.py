"""From a source into the lake: day by day, each day once, exactly as the source delivers it.

Here: which days are missing, and writing rows, quarantine and the log of both in one transaction.
Not here: what a valid row is (`sources.validation`), or when to ingest (`orchestration.ingestion.assets`).

A day is a UTC day of *arrival* (`known_at`), see docs/adr/0005. `ops.ingest_log` has one row per
(table, source, day); because it is written with the rows, a killed ingestion leaves whole days only.
A source replaces its own rows only: each row names the source that delivered it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from orchestration.ingestion.collection_keys import TABLES as WITH_COLLECTION
from orchestration.ingestion.collection_keys import learn_keys
from orchestration.ingestion.days import UNFINISHED, IngestReport, replace_changed_days
from orchestration.output.parts import report_parts
from sources.contract import QUARANTINE, TRUTH_TABLES, raw_table
from sources.protocol import IdentifyingSource, SourceBatch, TruthfulSource

if TYPE_CHECKING:
    from lake.connection import Lake
    from sources.contracts import SharedContract
    from sources.protocol import Source

# Rows held in memory before a transaction is written: about 200 MB of sales.
ROWS_PER_TRANSACTION = 500_000


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
    name: str = "",
    append_only: bool = False,
) -> dict[str, IngestReport]:
    """Bring raw tables up to date with what `source` knows for start <= known_at < end.

    Month by month, all tables together: a source that has to make or fetch a month does it once.
    Days whose logged fingerprint equals the source's are left alone, so running it again changes nothing,
    and a corrected or late row of an old day replaces exactly that day.

    Args:
        lake: The lake.
        source: The source.
        tables: Raw tables.
        start: Rows known from this time on (UTC, naive).
        end: Rows known before this time.
        name: Name of the source in this home; default: the name of its kind.
        append_only: The source is trusted never to change a day it has delivered, and is not asked for it again.

    Returns:
        What was done, by table.

    Raises:
        sources.protocol.SourceError: a file cannot be read at all (names file and expectation).
    """
    name = name or source.name
    shared = source.shared_contracts if isinstance(source, IdentifyingSource) else ()
    reports = {table: IngestReport(table) for table in tables}
    if append_only:
        start = max(start, _first_missing_day(lake, name, tables, start, end))
    chunk: _Chunk | None = None
    days = _whole_days(end - start)
    for month_start, month_end in months(start, end):
        chunk = chunk or _Chunk(month_start, month_end)
        chunk.end = month_end
        for table in tables:
            chunk.batches.setdefault(table, []).extend(source.read(table, month_start, month_end))
        if chunk.size >= ROWS_PER_TRANSACTION:
            _write(lake, name, chunk, reports, shared)
            chunk = None
        report_parts(f"days of {name}", _whole_days(month_end - start), days)
    if chunk is not None:
        _write(lake, name, chunk, reports, shared)
    return reports


def _whole_days(time: timedelta) -> int:
    return -(-time // timedelta(days=1))


def months(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
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


def _write(
    lake: Lake,
    source: str,
    chunk: _Chunk,
    reports: dict[str, IngestReport],
    shared: Sequence[SharedContract],
) -> None:
    """One transaction: in every table, replace the days of the chunk that differ from the log."""
    with lake.write(f"ingest {source} {chunk.start:%Y-%m-%d}..{chunk.end:%Y-%m-%d}") as con:
        rows = {
            table: pa.concat_tables([raw_table(table).schema.empty_table(), *(b.rows for b in batches)])
            for table, batches in chunk.batches.items()
        }
        with_collection = {table: new for table, new in rows.items() if table in WITH_COLLECTION}
        renamed = learn_keys(con, source, with_collection, shared)
        for table, batches in chunk.batches.items():
            con.register("incoming", rows[table])
            con.register(
                "incoming_rejected",
                pa.concat_tables([QUARANTINE.schema.empty_table(), *(b.rejected for b in batches)]),
            )
            replace_changed_days(con, source, table, (chunk.start, chunk.end), reports[table], renamed)
            con.unregister("incoming")
            con.unregister("incoming_rejected")


def ingest_truth(lake: Lake, sources: Sequence[Source]) -> int:
    """Replace schema `truth` by the sources' hidden values up to their watermarks; returns rows.

    Only the simulator has them; without one nothing happens.
    """
    truthful = [source for source in sources if isinstance(source, TruthfulSource)]
    if not truthful:
        return 0
    total = 0
    with lake.write("keep the hidden truth") as con:
        for name, table in TRUTH_TABLES.items():
            con.execute(f"delete from truth.{name}")
            for source in truthful:
                for rows in source.truth(name):
                    con.register("incoming", rows.cast(table.schema))
                    con.execute(f"insert into truth.{name} by name select * from incoming")
                    con.unregister("incoming")
                    total += rows.num_rows
    return total
