"""The raw tables of a folder: each file read once, judged, and kept in known order.

Here: files → tables, and accounting for every row. Not here: windows of time (`sources.files.source`), what columns
mean (`sources.files.recognition`, `sources.files.candidates`) and which rows are good (`sources.validation`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import EVENT_TABLES, FACT_TABLES, QUARANTINE, RAW_TABLES, raw_table
from sources.files.candidates import KEPT, candidates_of
from sources.files.derived import date_undated, hidden_traits, with_derived
from sources.files.errors import MissingColumnError, UnreadableFileError
from sources.files.file_names import named_table, source_of
from sources.files.identity import TABLES as WITH_COLLECTION
from sources.files.identity import identify
from sources.files.keys import with_keys
from sources.files.long_rows import long_rows
from sources.files.mapping_file import LEFT_OUT, OwnNames
from sources.files.plan import Plan
from sources.files.price_checks import check_prices
from sources.files.rate_checks import named_by_rates, symbols_of, with_distinct_symbols
from sources.files.reading.discovery import DataFile
from sources.files.reading.files import read_file
from sources.files.reading.tables import ROW, FileRows
from sources.files.recognition import recognise
from sources.files.refusals import Refusal, bad_file, broken_lines, refuse
from sources.files.reports import FileReport
from sources.files.row_sets import in_known_order, nothing, numbered, packed
from sources.files.unstated import with_chain, with_currency, without_rate
from sources.validation import validate

_PIECE_ROWS = 200_000


@dataclass
class LoadedTable:
    """One raw table of a directory.

    Attributes:
        rows: Good rows by known_at; repeated text is stored once (see `plain`).
        rejected: Rejected rows in the quarantine schema.
    """

    rows: pa.Table
    rejected: pa.Table


@dataclass
class _Parts:
    """What the files have given so far, by table; `_file` of a row is the number of its report."""

    rows: dict[str, list[pa.Table]] = field(default_factory=lambda: {t: [] for t in RAW_TABLES})
    rejected: dict[str, list[pa.Table]] = field(default_factory=lambda: {t: [] for t in RAW_TABLES})
    reports: list[FileReport] = field(default_factory=list)

    def add(self, table: str, rows: pa.Table) -> None:
        """Rows of the file whose report is the next."""
        self.rows[table].append(packed(numbered(rows, len(self.reports))))

    def refuse(self, table: str, rows: pa.Table) -> None:
        """Quarantine rows of the file whose report is the next."""
        self.rejected[table].append(numbered(rows, len(self.reports)))


class DirectoryTables:
    """The raw tables of a directory, loaded when first asked for."""

    def __init__(
        self,
        files: Sequence[DataFile],
        own: OwnNames,
        *,
        now: datetime,
        chain: str,
        default_currency: str,
    ) -> None:
        """Nothing is read yet; see `FilesSource` for the arguments."""
        self._files = files
        self._own = own
        self._now = now
        self._chain = chain
        self._default_currency = default_currency

    def table(self, name: str) -> LoadedTable:
        """A raw table."""
        return self._loaded[0][name]

    @property
    def reports(self) -> list[FileReport]:
        """What became of each file."""
        return self._loaded[1]

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """First and last known_at of the rows that have times; now when there are none."""
        known = [self.table(t).rows.column("known_at") for t in EVENT_TABLES]
        extremes = [pc.min_max(k).as_py() for k in known if len(k)]
        if not extremes:
            return self._now, self._now
        return min(e["min"] for e in extremes), max(e["max"] for e in extremes)

    @cached_property
    def _loaded(self) -> tuple[dict[str, LoadedTable], list[FileReport]]:
        parts = _Parts()
        for file in self._files:
            for report in self._read(file, parts):
                parts.reports.append(report)
            pa.default_memory_pool().release_unused()
        rows = {t: pa.concat_tables([nothing(t), *parts.rows.pop(t)]) for t in RAW_TABLES}
        self._check(rows, parts)
        names = self._identify(rows, parts)
        for table in ("sales", "transfers"):
            rows[table] = with_keys(table, rows[table])
        date_undated(rows, self._now)
        declared = rows["collections"].column("_file")
        rows["collections"] = with_derived(rows, names)
        counted = [self._counted(n, r, rows, parts, declared) for n, r in enumerate(parts.reports)]
        loaded = {}
        for table in RAW_TABLES:
            rejected = [r.drop_columns(["_file"]) for r in parts.rejected[table]]
            kept = rows.pop(table).select(list(raw_table(table).names))
            loaded[table] = LoadedTable(
                in_known_order(kept), pa.concat_tables([QUARANTINE.schema.empty_table(), *rejected])
            )
        return loaded, sorted(counted, key=lambda r: r.file)

    def _read(self, file: DataFile, parts: _Parts) -> Iterator[FileReport]:
        """Read one file into `parts`: a report for it, or for each list of a document that holds several."""
        if not file.format or self._own.of(file.name).leave_out:
            yield FileReport(file.name, None, note=file.reason or LEFT_OUT)
            return
        try:
            lists = read_file(file)
        except UnreadableFileError as error:
            yield self._unusable(file, None, error, parts)
            return
        for part, read in lists.items():
            yield self._recognised(part, read, parts)

    def _recognised(self, file: DataFile, read: FileRows, parts: _Parts) -> FileReport:
        """Recognise and judge the rows of one file; whatever is wrong with it is its own report and quarantine row."""
        plan: Plan | None = None
        try:
            plan, why = recognise(file, read.rows.column_names, read.repeated, self._own)
            if plan is None:
                return FileReport(file.name, None, note=why)
            plan, noted = with_chain(plan, read.rows)
            plan, rate = without_rate(plan, read.rows)
            plan, paid = with_currency(plan, read.rows, file.name)
            unused = tuple(n for n in read.rows.column_names if n != ROW and n not in plan.used)
            stated = plan
            plan, read = long_rows(plan, read)
            notes = (*noted, *rate, *paid, *self._judge(file, plan, read, parts))
        except (UnreadableFileError, MissingColumnError) as error:
            return self._unusable(file, plan, error, parts)
        return FileReport(
            file.name,
            plan.table,
            read.num_rows,
            kind=plan.kind,
            columns=stated.columns,
            unused=unused,
            notes=(*read.notes, *notes),
        )

    def _unusable(self, file: DataFile, plan: Plan | None, error: Exception, parts: _Parts) -> FileReport:
        table = plan.table if plan else named_table(file) or "sales"
        parts.refuse(table, bad_file(table, source_of(file), file.name, error, self._now))
        return FileReport(file.name, table, note=str(error).removeprefix(f"{file.name}: "))

    def _judge(self, file: DataFile, plan: Plan, read: FileRows, parts: _Parts) -> tuple[str, ...]:
        """A file's rows, judged by the contract; returns what was decided about whole columns."""
        # Rows of undated tables stand alone: in pieces, so that the copies on the way stay small.
        size = _PIECE_ROWS if plan.table in FACT_TABLES else max(read.rows.num_rows, 1)
        notes: dict[str, None] = {}
        for offset in range(0, max(read.rows.num_rows, 1), size):
            candidates = candidates_of(
                plan,
                read.rows.slice(offset, size),
                file.name,
                source_of(file),
                now=self._now,
                chain=self._chain,
                default_currency=self._default_currency,
                zone=self._own.of(file.name).timezone,
            )
            batch = validate(
                plan.table,
                candidates.rows,
                now=self._now,
                undated_known_at=self._now,
                originals=candidates.originals,
                keep=KEPT[plan.table],
                any_currency=True,
            )
            notes |= dict.fromkeys(candidates.notes)
            parts.add(plan.table, batch.rows)
            parts.refuse(plan.table, batch.rejected)
            if plan.trait_column is not None:
                parts.rows["token_traits"].append(
                    hidden_traits(plan.trait_column, batch.rows, read.rows, file.name)
                )
        if read.broken:
            lines = broken_lines(plan.table, source_of(file), file.name, read.broken, self._now)
            parts.refuse(plan.table, lines)
        return tuple(notes)

    def _check(self, rows: dict[str, pa.Table], parts: _Parts) -> None:
        """Refuse what is wrong beside other rows: rates first, then the prices that they convert."""
        rows["exchange_rates"], out = with_distinct_symbols(rows["exchange_rates"])
        parts.rejected["exchange_rates"].append(out)
        undone = Refusal("undone", "tx_hash", "an event that stands, of a transaction that succeeded")
        for table in ("sales", "transfers"):
            rows[table], out = refuse(table, rows[table], rows[table].column("_undone"), undone)
            parts.rejected[table].append(out)
        events = Refusal("not_a_sale", "sale_type", "an event that is a sale")
        rows["sales"], out = refuse("sales", rows["sales"], rows["sales"].column("_no_sale"), events)
        parts.rejected["sales"].append(out)

    def _identify(self, rows: dict[str, pa.Table], parts: _Parts) -> dict[str, str]:
        """Fill in collections, then refuse prices, which are compared within a collection; returns names by key."""
        identified = identify({t: rows[t] for t in WITH_COLLECTION}, self._own.shared_contracts)
        rows |= identified.rows
        for table, out in identified.refused.items():
            parts.rejected[table].append(out)
        rates = rows["exchange_rates"]
        for table in ("sales", "listings"):
            rows[table] = named_by_rates(rows[table], rates)
            rows[table], out = check_prices(table, rows[table], rates, symbols_of(rates))
            parts.rejected[table].append(out)
        seen = [
            rows[t].column("contract").cast(pa.string()) for t in ("sales", "token_traits", "collections")
        ]
        moved = rows["transfers"]
        contracts = pc.unique(
            pa.chunked_array([chunk for column in seen for chunk in column.chunks], pa.string())
        )
        strange = pc.invert(pc.is_in(moved.column("contract").cast(pa.string()), value_set=contracts))
        rows["transfers"], out = refuse(
            "transfers",
            moved,
            pc.and_(moved.column("_known_only"), strange),
            Refusal("not_a_token", "contract", "a contract that sales, traits or collections know"),
        )
        parts.rejected["transfers"].append(out)
        return identified.names

    def _counted(
        self,
        number: int,
        report: FileReport,
        rows: dict[str, pa.Table],
        parts: _Parts,
        declared: pa.ChunkedArray,
    ) -> FileReport:
        """The report with its rows counted; `declared`: the file of each collection that a file states."""
        if report.table is None or report.note:
            return report
        files = declared if report.table == "collections" else rows[report.table].column("_file")
        reasons: Counter[str] = Counter()
        for rejected in parts.rejected[report.table]:
            mine = rejected.filter(pc.equal(rejected.column("_file"), number))
            reasons.update(mine.column("reason").to_pylist())
        emitted = int(pc.sum(pc.equal(files, number)).as_py() or 0)
        return replace(report, emitted=emitted, rejected=sum(reasons.values()), reasons=dict(reasons))
