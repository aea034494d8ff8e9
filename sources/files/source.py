"""The files source: a directory of Parquet or CSV files as a market's history.

Here: the directory's promise to be a source, and windows of known time. Not here: reading and judging the
files (`loading`).

Row numbers in `source_row` count from 0 in Parquet and are line numbers (the header is line 1) in CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, RAW_TABLES, raw_table
from sources.files.loading import DirectoryTables, FileReport, in_known_order, plain
from sources.files.mapping import profile_of, reason_ignored
from sources.files.reading import SUFFIXES, EmptyDirectoryError, MissingSalesError
from sources.protocol import SourceBatch

_TICK = timedelta(microseconds=1)
_BATCH_ROWS = 500_000


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
        self._tables = DirectoryTables(
            self._files, now=self.now, chain=chain, default_currency=default_currency
        )

    def watermark(self) -> datetime:
        """Just after the last row known."""
        return self._tables.span[1] + _TICK

    def first_known(self) -> datetime:
        """When the first row became known."""
        return self._tables.span[0]

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order.

        Rejected rows that have no readable time count as known at the last instant before the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
            MissingColumnError: If every sales file lacks a required column.
            UnreadableFileError: If no sales file can be read.
        """
        raw_table(table)
        loaded = self._tables.table(table)
        rows = _window(loaded.rows, start, end)
        rejected = _window(self._dated(loaded.rejected), start, end)
        for offset in range(0, max(rows.num_rows, 1), _BATCH_ROWS):
            last = offset + _BATCH_ROWS >= rows.num_rows
            batch = SourceBatch(
                plain(rows.slice(offset, _BATCH_ROWS), table),
                rejected if last else QUARANTINE.schema.empty_table(),
            )
            if batch.num_source_rows:
                yield batch

    def inventory(self) -> list[FileReport]:
        """What became of each file (reads all of them).

        Derived rows (WAX names as traits, the list of collections) are not counted: no file has them.
        """
        reports = [r for table in RAW_TABLES for r in self._tables.table(table).reports]
        reports += [
            FileReport(p.name, None, note=f"ignored: {reason_ignored(p.stem)}")
            for p, profile in self._files
            if profile is None
        ]
        return sorted(reports, key=lambda r: r.file)

    def _dated(self, rejected: pa.Table) -> pa.Table:
        """Rejected rows with a known_at that some window of this source covers."""
        if not rejected.num_rows:
            return rejected
        first, last = (pa.scalar(t, pa.timestamp("us")) for t in self._tables.span)
        known = rejected.column("known_at")
        known = pc.if_else(pc.greater(known, last), last, pc.if_else(pc.less(known, first), first, known))
        where = rejected.schema.get_field_index("known_at")
        return in_known_order(rejected.set_column(where, rejected.schema.field(where), known))


def _window(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    known = rows.column("known_at").to_numpy()
    first, last = np.searchsorted(known, np.array([start, end], "datetime64[us]"))
    return rows.slice(int(first), int(last - first))
