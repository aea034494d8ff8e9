"""The files source: a directory of Parquet or CSV files as a market's history.

Here: reading each file once, sorting by `known_at`, slicing windows, and accounting for every row. Not here:
what columns mean (`mapping`, `candidates`) and which rows are good (`sources.validation`).

Row numbers in `source_row` count from 0 in Parquet and are line numbers (the header is line 1) in CSV.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, RAW_TABLES, raw_table
from sources.files.candidates import candidate_rows
from sources.files.mapping import FileProfile, profile_of, reason_ignored
from sources.files.reading import (
    SUFFIXES,
    EmptyDirectoryError,
    FileRows,
    MissingColumnError,
    MissingSalesError,
    UnreadableFileError,
    read_file,
)
from sources.protocol import SourceBatch
from sources.validation import connect, quarantine, validate

_TICK = timedelta(microseconds=1)
_BATCH_ROWS = 500_000
_PIECE_ROWS = 200_000
_UNDATED_TABLES = ("token_traits", "collections")
_DATED_TABLES = ("sales", "transfers", "listings", "exchange_rates")


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        file: File name.
        table: Raw table it holds; None when it is ignored.
        rows: Rows in the file; None when it was not or could not be read.
        emitted: Rows that keep the contract.
        rejected: Rows in quarantine. rows = emitted + rejected.
        note: Why the file was ignored or could not be read.
    """

    file: str
    table: str | None
    rows: int | None = None
    emitted: int = 0
    rejected: int = 0
    note: str = ""


@dataclass
class _Loaded:
    """One raw table of the directory: rows and rejected rows, both sorted by known_at."""

    rows: pa.Table
    rejected: pa.Table
    reports: list[FileReport] = field(default_factory=list)


class FilesSource:
    """A directory of files as a `Source`.

    Files are told apart by name (`mapping.PROFILES`); the others are ignored and listed by `inventory`.
    A file that cannot be read, or lacks a column, becomes one row in quarantine while the others go on,
    unless it leaves the directory without sales.
    """

    name = "files"

    def __init__(
        self,
        directory: Path | str,
        *,
        now: datetime | None = None,
        chain: str = "ethereum",
        default_currency: str = "ETH",
    ) -> None:
        """Look at a directory; nothing is read yet.

        Args:
            directory: Where the files are.
            now: Events later than this (UTC, naive) are in the future; default: the clock.
            chain: Chain of rows that do not say theirs.
            default_currency: Currency of prices in a file that neither has a currency column nor a price
                column that names its currency.

        Raises:
            EmptyDirectoryError: If the directory is missing or has no Parquet or CSV file.
            MissingSalesError: If no file is called sales*.
        """
        self.directory = Path(directory)
        self.now = now or datetime.now(UTC).replace(tzinfo=None)
        self.chain = chain
        self.default_currency = default_currency
        self._loaded: dict[str, _Loaded] = {}
        kinds = " or ".join(SUFFIXES)
        if not self.directory.is_dir():
            raise EmptyDirectoryError(
                f"expected a directory with {kinds} files, found no directory {directory}"
            )
        files = sorted(p for p in self.directory.iterdir() if p.suffix.lower() in SUFFIXES)
        if not files:
            raise EmptyDirectoryError(
                f"{directory}: expected {kinds} files (at least sales.parquet or sales.csv), found none;"
                " put the files there or pass another directory"
            )
        self._files = [(p, profile_of(p.stem)) for p in files]
        if not any(profile and profile.table == "sales" for _, profile in self._files):
            raise MissingSalesError(
                f"{directory}: expected a file called sales*.parquet or sales*.csv, found"
                f" {', '.join(p.name for p in files)}; rename the file that holds the sales"
            )

    def watermark(self) -> datetime:
        """Just after the last row known."""
        return self._span[1] + _TICK

    def first_known(self) -> datetime:
        """When the first row became known."""
        return self._span[0]

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order.

        Rejected rows that have no readable time count as known at the last instant before the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
            MissingColumnError: If every sales file lacks a required column.
            UnreadableFileError: If no sales file can be read.
        """
        raw_table(table)
        loaded = self._table(table)
        rows = _window(loaded.rows, start, end)
        rejected = _window(self._dated(loaded.rejected), start, end)
        for offset in range(0, max(rows.num_rows, 1), _BATCH_ROWS):
            last = offset + _BATCH_ROWS >= rows.num_rows
            batch = SourceBatch(
                rows.slice(offset, _BATCH_ROWS), rejected if last else QUARANTINE.schema.empty_table()
            )
            if batch.num_source_rows:
                yield batch

    def inventory(self) -> list[FileReport]:
        """What became of each file (reads all of them).

        Derived rows (WAX names as traits, the list of collections) are not counted: no file has them.
        """
        reports = [r for table in RAW_TABLES for r in self._table(table).reports]
        reports += [
            FileReport(p.name, None, note=f"ignored: {reason_ignored(p.stem)}")
            for p, profile in self._files
            if profile is None
        ]
        return sorted(reports, key=lambda r: r.file)

    @cached_property
    def _span(self) -> tuple[datetime, datetime]:
        """First and last known_at of the rows that have times."""
        known = [self._table(t).rows.column("known_at") for t in _DATED_TABLES]
        extremes = [pc.min_max(k).as_py() for k in known if len(k)]
        if not extremes:
            return self.now, self.now
        return min(e["min"] for e in extremes), max(e["max"] for e in extremes)

    def _dated(self, rejected: pa.Table) -> pa.Table:
        """Rejected rows with a known_at that some window of this source covers."""
        if not rejected.num_rows:
            return rejected
        first, last = (pa.scalar(t, pa.timestamp("us")) for t in self._span)
        known = rejected.column("known_at")
        known = pc.if_else(pc.greater(known, last), last, pc.if_else(pc.less(known, first), first, known))
        where = rejected.schema.get_field_index("known_at")
        return _sorted(rejected.set_column(where, rejected.schema.field(where), known))

    def _table(self, table: str) -> _Loaded:
        if table not in self._loaded:
            self._loaded[table] = self._load_collections() if table == "collections" else self._load(table)
        return self._loaded[table]

    def _load(self, table: str) -> _Loaded:
        """Read every file of a table (and the traits that hide in sales files)."""
        batches, reports, failures = [], [], []
        for path, profile in self._files:
            if profile is None or table not in _tables_of(profile):
                continue
            try:
                file = read_file(path)
                if profile.table == table:
                    batch = self._judge(profile, file, path.name)
                    counts = batch.rows.num_rows, batch.rejected.num_rows
                    rows = file.rows.num_rows + len(file.broken)
                    reports.append(FileReport(path.name, table, rows, *counts))
                else:
                    batch = self._hidden_traits(profile, file, path.name)
            except (UnreadableFileError, MissingColumnError) as error:
                if profile.table != table:
                    continue  # Told once, where the file's own table is read.
                failures.append(error)
                batch = SourceBatch(
                    raw_table(table).schema.empty_table(), _bad_file(table, path, error, self.now)
                )
                reports.append(FileReport(path.name, table, note=str(error)))
            batches.append(batch)
            pa.default_memory_pool().release_unused()
        if table == "sales" and failures and len(failures) == len(batches):
            raise failures[0]
        rows = pa.concat_tables([raw_table(table).schema.empty_table(), *(b.rows for b in batches)])
        rejected = pa.concat_tables([QUARANTINE.schema.empty_table(), *(b.rejected for b in batches)])
        return _Loaded(_sorted(rows).combine_chunks(), rejected, reports)

    def _judge(self, profile: FileProfile, file: FileRows, name: str) -> SourceBatch:
        """A file's rows, judged by the contract."""
        # Rows of undated tables stand alone: in pieces, so that the copies on the way stay small.
        size = _PIECE_ROWS if profile.table in _UNDATED_TABLES else max(file.rows.num_rows, 1)
        pieces = []
        for offset in range(0, max(file.rows.num_rows, 1), size):
            candidate = candidate_rows(
                profile,
                file.rows.slice(offset, size),
                name,
                chain=self.chain,
                default_currency=self.default_currency,
            )
            if profile.table in _UNDATED_TABLES:
                candidate = self._first_seen(candidate)
            pieces.append(validate(profile.table, candidate, now=self.now, undated_known_at=self.now))
        batch = SourceBatch(
            pa.concat_tables([p.rows for p in pieces]), pa.concat_tables([p.rejected for p in pieces])
        )
        if not file.broken:
            return batch
        numbers, reasons, expected, found = zip(*file.broken, strict=True)
        broken = quarantine(
            profile.table,
            source=pa.array([f"files:{Path(name).stem}"] * len(numbers)),
            source_row=pa.array([f"{name}:{n}" for n in numbers]),
            reason=pa.array(reasons),
            column_name=pa.nulls(len(numbers), pa.string()),
            expected=pa.array(expected),
            found=pa.array(found),
            payload=pa.array([json.dumps({"line": text}) for text in found]),
            known_at=pa.array([self.now] * len(numbers), pa.timestamp("us")),
        )
        return SourceBatch(batch.rows, pa.concat_tables([batch.rejected, broken]))

    def _hidden_traits(self, profile: FileProfile, file: FileRows, name: str) -> SourceBatch:
        """The trait that a sales file tells of each token, once per token and value."""
        column = profile.trait_column
        if column is None or column not in file.rows.column_names:
            return SourceBatch(
                raw_table("token_traits").schema.empty_table(), QUARANTINE.schema.empty_table()
            )
        sales = self._judge(profile, file, name).rows
        con = connect()
        try:
            con.register("sales", sales)
            con.register("file", file.rows)
            traits = con.execute(
                f"""select s.chain, s.collection, s.contract, s.token_id, $name as trait_type,
                    f."{column}" as trait_value, min(s.known_at) as known_at,
                    arg_min(s.source, f."_row") as source, $file || ':' || min(f."_row") as source_row
                from sales as s join file as f on s.source_row = $file || ':' || f."_row"
                where f."{column}" is not null
                group by s.chain, s.collection, s.contract, s.token_id, f."{column}"
                order by min(f."_row")""",
                {"name": column, "file": name},
            ).to_arrow_table()
        finally:
            con.close()
        return validate("token_traits", traits, now=self.now, undated_known_at=self.now)

    def _first_seen(self, candidate: pa.Table) -> pa.Table:
        """Undated rows become known when their collection is first heard of.

        A file of traits carries no arrival times; traits that we know only from today would be invisible to
        all of history.
        """
        con = connect()
        try:
            for table in ("sales", "transfers", "listings"):
                con.register(table, self._table(table).rows.select(["collection", "known_at"]))
            con.register("candidate", candidate)
            given = "c.known_at, " if "known_at" in candidate.column_names else ""
            rest = "exclude (known_at)" if given else ""
            return con.execute(
                f"""with seen as (
                    select collection, min(known_at) as first_known from (
                        select * from sales union all select * from transfers union all select * from listings
                    ) group by collection
                )
                select c.* {rest}, coalesce({given}s.first_known, $first) as known_at
                from candidate as c left join seen as s on s.collection = c.collection""",
                {"first": self._span[0]},
            ).to_arrow_table()
        finally:
            con.close()

    def _load_collections(self) -> _Loaded:
        """Collections from their own file, and every other one that is seen in any table."""
        declared = self._load("collections")
        con = connect()
        try:
            con.register("declared", declared.rows)
            for table in ("sales", "transfers", "listings", "token_traits"):
                con.register(
                    table, self._table(table).rows.select(["chain", "collection", "contract", "known_at"])
                )
            derived = con.execute(
                """select chain, collection, min(contract) as contract, collection as name,
                    null::bigint as supply, min(known_at) as known_at, 'files' as source,
                    'collection:' || collection as source_row
                from (
                    select * from sales union all select * from transfers
                    union all select * from listings union all select * from token_traits
                )
                where collection not in (select collection from declared)
                group by chain, collection order by collection"""
            ).to_arrow_table()
        finally:
            con.close()
        seen = validate("collections", derived, now=self.now, undated_known_at=self.now)
        rows = pa.concat_tables([declared.rows, seen.rows])
        return _Loaded(_sorted(rows).combine_chunks(), declared.rejected, declared.reports)


def _tables_of(profile: FileProfile) -> tuple[str, ...]:
    return (profile.table, "token_traits") if profile.trait_column else (profile.table,)


def _bad_file(table: str, path: Path, error: Exception, now: datetime) -> pa.Table:
    """The one quarantine row that stands for a file that cannot be used."""
    reason = "missing_column" if isinstance(error, MissingColumnError) else "unreadable_file"
    return quarantine(
        table,
        source=pa.array([f"files:{path.stem}"]),
        source_row=pa.array([path.name]),
        reason=pa.array([reason]),
        column_name=pa.nulls(1, pa.string()),
        expected=pa.array(["a file that can be read"]),
        found=pa.array([str(error)]),
        payload=pa.array([json.dumps({"file": path.name, "error": str(error)})]),
        known_at=pa.array([now], pa.timestamp("us")),
    )


def _sorted(rows: pa.Table) -> pa.Table:
    """Rows by known_at, then by event_time where there is one, then as they came."""
    known = rows.column("known_at").to_numpy().astype("int64")
    keys = [np.arange(rows.num_rows), known]
    if "event_time" in rows.column_names:
        keys.insert(1, rows.column("event_time").to_numpy().astype("int64"))
    order = np.lexsort(keys)
    return rows if bool((order[1:] > order[:-1]).all()) else rows.take(pa.array(order))


def _window(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    known = rows.column("known_at").to_numpy()
    first, last = np.searchsorted(known, np.array([start, end], "datetime64[us]"))
    return rows.slice(int(first), int(last - first))
