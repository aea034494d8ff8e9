"""The files source: a directory of files as a market's history.

Here: the directory's promise to be a source, and windows of known time. Not here: reading and judging the
files (`sources.files.loading`).

Row numbers in `source_row` count from 0 in Parquet and in a JSON document, and are line numbers in text and JSON lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, RAW_TABLES, raw_table
from sources.files.errors import EmptyDirectoryError, MissingSalesError, NothingReadError
from sources.files.loading import DirectoryTables, LoadedTable
from sources.files.mapping_file import read_own_names
from sources.files.reading.discovery import FORMAT_BY_SUFFIX, find_files
from sources.files.reports import FileReport, left_out
from sources.files.row_sets import in_known_order, plain
from sources.protocol import SourceBatch

_TICK = timedelta(microseconds=1)
_BATCH_ROWS = 500_000


class FilesSource:
    """A directory of files as a `Source`.

    What a file holds is described by its name and its columns (`recognition`); files and columns that are not used are
    listed by `inventory` and named by `left_out`. A file that cannot be read, or lacks a column, becomes one row in
    quarantine while the others go on, unless it leaves the directory without sales.
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
        """Look at a directory; nothing is read yet but the mapping file.

        Args:
            directory: Where the files are, also in folders within it.
            now: Events later than this (UTC, naive) are in the future; default: the clock.
            chain: Chain of rows that do not say theirs.
            default_currency: Currency of prices in a file that neither has a currency column nor a price
                column that names its currency.

        Raises:
            EmptyDirectoryError: If the directory is missing or has no file of a format that can be read.
            MappingError: If its mapping file cannot be used.
        """
        self.directory = Path(directory)
        self.now = now or datetime.now(UTC).replace(tzinfo=None)
        kinds = ", ".join(FORMAT_BY_SUFFIX)
        if not self.directory.is_dir():
            raise EmptyDirectoryError(
                f"expected a directory with data files ({kinds}), found no directory {directory}"
            )
        files = find_files(self.directory)
        if not any(f.format for f in files):
            found = ", ".join(f"{f.name} ({f.reason})" for f in files[:10]) or "none"
            raise EmptyDirectoryError(
                f"{directory}: expected data files ({kinds}; at least one of sales, such as sales.csv), found {found};"
                " put the files there or pass another directory"
            )
        own = read_own_names(self.directory)
        self.shared_contracts = own.shared_contracts
        self._tables = DirectoryTables(
            files,
            own,
            now=self.now,
            chain=chain,
            default_currency=default_currency,
        )

    def watermark(self) -> datetime:
        """Just after the last row known.

        Raises:
            NothingReadError: If not one sale was accepted; says what became of each file.
        """
        self._require_sales()
        return self._tables.span[1] + _TICK

    def first_known(self) -> datetime:
        """When the first row became known.

        Raises:
            NothingReadError: If not one sale was accepted; says what became of each file.
        """
        self._require_sales()
        return self._tables.span[0]

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order.

        Rejected rows that have no readable time count as known at the last instant before the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
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
        """What became of each file, by name (reads all of them).

        Derived rows (WAX names as traits, the list of collections) are not counted: no file has them.
        """
        return self._tables.reports

    def left_out(self) -> list[str]:
        """Every file and column that is not used, each named once, and what was decided about whole files."""
        return left_out(self._tables.reports)

    def everything(self) -> dict[str, LoadedTable]:
        """All tables with all their rows, also when no sale was accepted."""
        return {name: self._tables.table(name) for name in RAW_TABLES}

    def _require_sales(self) -> None:
        if self._tables.table("sales").rows.num_rows:
            return
        reports = self._tables.reports
        described = "; ".join(_described(r) for r in reports)
        if not any(r.table == "sales" for r in reports):
            raise MissingSalesError(
                f"{self.directory}: expected a file of sales, such as sales.csv or sales.parquet, found none."
                f" {described}."
                " Rename the file that holds the sales, or name its columns in assay.yaml"
            )
        rejected = self._tables.table("sales").rejected
        # A file that could not be read has been described, and is one of these rows.
        whole = pa.array([r.file for r in reports if r.note], pa.string())
        rows = rejected.filter(pc.invert(pc.is_in(rejected.column("source_row"), value_set=whole)))
        examples = rows.slice(0, 1).to_pylist()
        example = "".join(
            f" For example {e['source_row']}: {e['reason']}"
            f"{' of ' + e['column_name'] if e['column_name'] else ''}, expected {e['expected']}, found {e['found']}."
            for e in examples
        )
        raise NothingReadError(
            f"{self.directory}: expected sales, found not one that can be used. {described}.{example}"
            " `assay files check` shows every file"
        )

    def _dated(self, rejected: pa.Table) -> pa.Table:
        """Rejected rows with a known_at that some window of this source covers."""
        if not rejected.num_rows:
            return rejected
        first, last = (pa.scalar(t, pa.timestamp("us")) for t in self._tables.span)
        known = rejected.column("known_at")
        known = pc.if_else(pc.greater(known, last), last, pc.if_else(pc.less(known, first), first, known))
        where = rejected.schema.get_field_index("known_at")
        return in_known_order(rejected.set_column(where, rejected.schema.field(where), known))


def _described(report: FileReport) -> str:
    if report.table is None:
        return f"{report.file}: left out: {report.note}"
    if report.note:
        return f"{report.file}: {report.note}"
    reasons = ", ".join(f"{reason} {n}" for reason, n in report.reasons.items())
    return f"{report.file}: {report.rejected} of {report.rows} rows refused" + (
        f" ({reasons})" if reasons else ""
    )


def _window(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    known = rows.column("known_at").to_numpy()
    first, last = np.searchsorted(known, np.array([start, end], "datetime64[us]"))
    return rows.slice(int(first), int(last - first))
