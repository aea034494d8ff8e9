"""The raw tables of a folder: each file read once, judged, and kept in known order.

Here: files → tables, and accounting for every row. Not here: windows of time (`sources.files.source`), what columns
mean (`sources.files.recognition`, `sources.files.candidates`) and which rows are good (`sources.validation`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import EVENT_TABLES, FACT_TABLES, QUARANTINE, RAW_TABLES, TIMESTAMP, raw_table
from sources.files.candidates import KEPT, candidates_of
from sources.files.derived import date_undated, hidden_traits, with_derived
from sources.files.errors import MissingColumnError, UnreadableFileError
from sources.files.identity import TABLES as WITH_COLLECTION
from sources.files.identity import identify
from sources.files.keys import with_keys
from sources.files.long_rows import long_rows
from sources.files.mapping_file import OwnNames
from sources.files.plan import Plan
from sources.files.price_checks import check_prices
from sources.files.rate_checks import named_by_rates, symbols_of, with_distinct_symbols
from sources.files.reading.discovery import DataFile, plain_stem
from sources.files.reading.files import read_file
from sources.files.reading.tables import ROW, FileRows
from sources.files.recognition import named_table, recognise
from sources.files.refusals import Refusal, refuse
from sources.files.reports import FileReport
from sources.files.row_sets import in_known_order, nothing, numbered, packed
from sources.files.unstated_chain import with_chain
from sources.validation import quarantine, validate

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
    """What the files have given so far, by table; `_file` numbers the file of a row."""

    rows: dict[str, list[pa.Table]] = field(default_factory=lambda: {t: [] for t in RAW_TABLES})
    rejected: dict[str, list[pa.Table]] = field(default_factory=lambda: {t: [] for t in RAW_TABLES})


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
        parts, reports = _Parts(), []
        for number, file in enumerate(self._files):
            reports.append(self._read(number, file, parts))
            pa.default_memory_pool().release_unused()
        rows = {t: pa.concat_tables([nothing(t), *parts.rows.pop(t)]) for t in RAW_TABLES}
        self._check(rows, parts)
        names = self._identify(rows, parts)
        for table in ("sales", "transfers"):
            rows[table] = with_keys(table, rows[table])
        date_undated(rows, self._now)
        declared = rows["collections"].column("_file")
        rows["collections"] = with_derived(rows, names)
        counted = [self._counted(n, r, rows, parts, declared) for n, r in enumerate(reports)]
        loaded = {}
        for table in RAW_TABLES:
            rejected = [r.drop_columns(["_file"]) for r in parts.rejected[table]]
            kept = rows.pop(table).select(list(raw_table(table).names))
            loaded[table] = LoadedTable(
                in_known_order(kept), pa.concat_tables([QUARANTINE.schema.empty_table(), *rejected])
            )
        return loaded, sorted(counted, key=lambda r: r.file)

    def _read(self, number: int, file: DataFile, parts: _Parts) -> FileReport:
        """Read one file into `parts`; whatever is wrong with it is its own report and quarantine row."""
        if not file.format:
            return FileReport(file.name, None, note=file.reason)
        plan: Plan | None = None
        try:
            read = read_file(file)
            plan, why = recognise(file, read.rows.column_names, read.repeated, self._own)
            if plan is None:
                return FileReport(file.name, None, note=why)
            unused = tuple(n for n in read.rows.column_names if n != ROW and n not in plan.used)
            plan, noted = with_chain(plan, read.rows)
            stated = plan
            plan, read = long_rows(plan, read)
            notes = (*noted, *self._judge(number, file, plan, read, parts))
        except (UnreadableFileError, MissingColumnError) as error:
            table = plan.table if plan else _meant_for(file)
            parts.rejected[table].append(self._bad_file(number, table, file, error))
            return FileReport(file.name, table, note=str(error).removeprefix(f"{file.name}: "))
        return FileReport(
            file.name,
            plan.table,
            read.num_rows,
            kind=plan.kind,
            columns=stated.columns,
            unused=unused,
            notes=(*read.notes, *notes),
        )

    def _judge(
        self, number: int, file: DataFile, plan: Plan, read: FileRows, parts: _Parts
    ) -> tuple[str, ...]:
        """A file's rows, judged by the contract; returns what was decided about whole columns."""
        # Rows of undated tables stand alone: in pieces, so that the copies on the way stay small.
        size = _PIECE_ROWS if plan.table in FACT_TABLES else max(read.rows.num_rows, 1)
        notes: dict[str, None] = {}
        for offset in range(0, max(read.rows.num_rows, 1), size):
            candidates = candidates_of(
                plan,
                read.rows.slice(offset, size),
                file.name,
                _source_of(file),
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
            parts.rows[plan.table].append(packed(numbered(batch.rows, number)))
            parts.rejected[plan.table].append(numbered(batch.rejected, number))
            if plan.trait_column is not None:
                parts.rows["token_traits"].append(
                    hidden_traits(plan.trait_column, batch.rows, read.rows, file.name)
                )
        if read.broken:
            parts.rejected[plan.table].append(numbered(self._broken_lines(plan.table, file, read), number))
        return tuple(notes)

    def _broken_lines(self, table: str, file: DataFile, read: FileRows) -> pa.Table:
        """Quarantine rows of the lines of a text that are no rows."""
        numbers, reasons, expected, found = zip(*read.broken, strict=True)
        return quarantine(
            table,
            source=pa.array([_source_of(file)] * len(numbers)),
            source_row=pa.array([f"{file.name}:{n}" for n in numbers]),
            reason=pa.array(reasons),
            column_name=pa.nulls(len(numbers), pa.string()),
            expected=pa.array(expected),
            found=pa.array(found),
            payload=pa.array([json.dumps({"line": text}) for text in found]),
            known_at=pa.array([self._now] * len(numbers), TIMESTAMP),
        )

    def _bad_file(self, number: int, table: str, file: DataFile, error: Exception) -> pa.Table:
        """The one quarantine row that stands for a file that cannot be used."""
        reason = "missing_column" if isinstance(error, MissingColumnError) else "unreadable_file"
        row = quarantine(
            table,
            source=pa.array([_source_of(file)]),
            source_row=pa.array([file.name]),
            reason=pa.array([reason]),
            column_name=pa.nulls(1, pa.string()),
            expected=pa.array(["a file that can be used"]),
            found=pa.array([str(error)]),
            payload=pa.array([json.dumps({"file": file.name, "error": str(error)})]),
            known_at=pa.array([self._now], TIMESTAMP),
        )
        return numbered(row, number)

    def _check(self, rows: dict[str, pa.Table], parts: _Parts) -> None:
        """Refuse what is wrong beside other rows: rates first, then the prices that they convert."""
        rows["exchange_rates"], out = with_distinct_symbols(rows["exchange_rates"])
        parts.rejected["exchange_rates"].append(out)
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
        return FileReport(
            report.file,
            report.table,
            report.rows,
            emitted,
            sum(reasons.values()),
            kind=report.kind,
            columns=report.columns,
            unused=report.unused,
            notes=report.notes,
            reasons=dict(reasons),
        )


def _meant_for(file: DataFile) -> str:
    """The table that a file which cannot be read was meant for: as its name says, sales otherwise."""
    return named_table(file) or "sales"


def _source_of(file: DataFile) -> str:
    """The source of the rows of a file: the file, or the folder that a table was written to in parts."""
    parts = file.name.split("/")
    folder = next((p for p in parts[:-1] if p.lower().endswith((".parquet", ".csv", ".json"))), None)
    hive = next((i for i, p in enumerate(parts[:-1]) if "=" in p), None)
    if folder is None and hive is not None and hive > 0:
        folder = parts[hive - 1]
    return f"files:{plain_stem(folder or parts[-1])}"
