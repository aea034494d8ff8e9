"""The raw tables of a directory: each file read once, judged, and kept in known order.

Here: files → tables, and accounting for every row. Not here: windows of time (`source`), what columns mean
(`mapping`, `candidates`) and which rows are good (`sources.validation`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, TIMESTAMP, raw_table
from sources.files.candidates import candidate_rows
from sources.files.mapping import FileProfile
from sources.files.reading import ROW, FileRows, MissingColumnError, UnreadableFileError, read_file
from sources.protocol import SourceBatch
from sources.validation import connect, quarantine, validate

DATED_TABLES = ("sales", "transfers", "listings", "exchange_rates")
_UNDATED_TABLES = ("token_traits", "collections")
_PIECE_ROWS = 200_000
_REPEATED = ("chain", "collection", "contract", "currency", "marketplace", "trait_type", "source")


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
class LoadedTable:
    """One raw table of a directory.

    Attributes:
        rows: Good rows by known_at; repeated text is stored once (see `plain`).
        rejected: Rejected rows in the quarantine schema.
        reports: What became of the table's files.
    """

    rows: pa.Table
    rejected: pa.Table
    reports: list[FileReport] = field(default_factory=list)


class DirectoryTables:
    """The raw tables of a directory, loaded when first asked for."""

    def __init__(
        self,
        files: Sequence[tuple[Path, FileProfile | None]],
        *,
        now: datetime,
        chain: str,
        default_currency: str,
    ) -> None:
        """Nothing is read yet; see `FilesSource` for the arguments."""
        self._files = files
        self._now = now
        self._chain = chain
        self._default_currency = default_currency
        self._loaded: dict[str, LoadedTable] = {}

    def table(self, name: str) -> LoadedTable:
        """A raw table.

        Raises:
            MissingColumnError, UnreadableFileError: If no sales file can be used.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load_collections() if name == "collections" else self._load(name)
        return self._loaded[name]

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """First and last known_at of the rows that have times; now when there are none."""
        known = [self.table(t).rows.column("known_at") for t in DATED_TABLES]
        extremes = [pc.min_max(k).as_py() for k in known if len(k)]
        if not extremes:
            return self._now, self._now
        return min(e["min"] for e in extremes), max(e["max"] for e in extremes)

    def _load(self, table: str) -> LoadedTable:
        """Read every file of a table (and the traits that hide in sales files)."""
        batches, reports, failures = [], [], []
        for path, profile in self._files:
            if profile is None or (profile.table != table and not _hides(profile, table)):
                continue
            try:
                file = read_file(path)
                if profile.table == table:
                    batch = self._judge(profile, file, path.name)
                    counts = batch.rows.num_rows, batch.rejected.num_rows
                    reports.append(
                        FileReport(path.name, table, file.rows.num_rows + len(file.broken), *counts)
                    )
                else:
                    batch = self._hidden_traits(profile, file, path.name)
            except (UnreadableFileError, MissingColumnError) as error:
                if profile.table != table:
                    continue  # Told once, where the file's own table is read.
                failures.append(error)
                batch = SourceBatch(_nothing(table).rows, self._bad_file(table, path, error))
                reports.append(FileReport(path.name, table, note=str(error)))
            batches.append(batch)
            pa.default_memory_pool().release_unused()
        if table == "sales" and failures and len(failures) == len(batches):
            raise failures[0]
        rows = pa.concat_tables([_nothing(table).rows, *(b.rows for b in batches)])
        rejected = pa.concat_tables([QUARANTINE.schema.empty_table(), *(b.rejected for b in batches)])
        return LoadedTable(in_known_order(rows), rejected, reports)

    def _judge(self, profile: FileProfile, file: FileRows, name: str) -> SourceBatch:
        """A file's rows, judged by the contract."""
        # Rows of undated tables stand alone: in pieces, so that the copies on the way stay small.
        size = _PIECE_ROWS if profile.table in _UNDATED_TABLES else max(file.rows.num_rows, 1)
        good, bad = [], []
        for offset in range(0, max(file.rows.num_rows, 1), size):
            candidate = candidate_rows(
                profile,
                file.rows.slice(offset, size),
                name,
                chain=self._chain,
                default_currency=self._default_currency,
            )
            if profile.table in _UNDATED_TABLES:
                candidate = self._known_when_first_seen(candidate)
            batch = validate(profile.table, candidate, now=self._now, undated_known_at=self._now)
            good.append(_packed(batch.rows))
            bad.append(batch.rejected)
        if file.broken:
            bad.append(self._broken_lines(profile.table, file, name))
        return SourceBatch(pa.concat_tables(good), pa.concat_tables(bad))

    def _broken_lines(self, table: str, file: FileRows, name: str) -> pa.Table:
        """Quarantine rows of the lines of a CSV that are no rows."""
        numbers, reasons, expected, found = zip(*file.broken, strict=True)
        return quarantine(
            table,
            source=pa.array([f"files:{Path(name).stem}"] * len(numbers)),
            source_row=pa.array([f"{name}:{n}" for n in numbers]),
            reason=pa.array(reasons),
            column_name=pa.nulls(len(numbers), pa.string()),
            expected=pa.array(expected),
            found=pa.array(found),
            payload=pa.array([json.dumps({"line": text}) for text in found]),
            known_at=pa.array([self._now] * len(numbers), TIMESTAMP),
        )

    def _bad_file(self, table: str, path: Path, error: Exception) -> pa.Table:
        """The one quarantine row that stands for a file that cannot be used."""
        reason = "missing_column" if isinstance(error, MissingColumnError) else "unreadable_file"
        return quarantine(
            table,
            source=pa.array([f"files:{path.stem}"]),
            source_row=pa.array([path.name]),
            reason=pa.array([reason]),
            column_name=pa.nulls(1, pa.string()),
            expected=pa.array(["a file that can be used"]),
            found=pa.array([str(error)]),
            payload=pa.array([json.dumps({"file": path.name, "error": str(error)})]),
            known_at=pa.array([self._now], TIMESTAMP),
        )

    def _hidden_traits(self, profile: FileProfile, file: FileRows, name: str) -> SourceBatch:
        """The trait that a sales file tells of each token, once per token and value."""
        column = profile.trait_column
        if column is None or column not in file.rows.column_names:
            return _nothing("token_traits")
        sales = self.table("sales").rows.select(
            ["chain", "collection", "contract", "token_id", "known_at", "source", "source_row"]
        )
        con = connect()
        try:
            con.register("sales", sales)
            con.register("file", file.rows)
            traits = con.execute(
                f"""select s.chain, s.collection, s.contract, s.token_id, $name as trait_type,
                    f."{column}" as trait_value, min(s.known_at) as known_at,
                    arg_min(s.source, f."{ROW}") as source, $file || ':' || min(f."{ROW}") as source_row
                from sales as s join file as f on s.source_row = $file || ':' || f."{ROW}"
                where f."{column}" is not null
                group by s.chain, s.collection, s.contract, s.token_id, f."{column}"
                order by min(f."{ROW}")""",
                {"name": column, "file": name},
            ).to_arrow_table()
        finally:
            con.close()
        batch = validate("token_traits", traits, now=self._now, undated_known_at=self._now)
        return SourceBatch(_packed(batch.rows), batch.rejected)

    @cached_property
    def _first_seen(self) -> tuple[pa.Array, pa.Array]:
        """Collections, and when each is first heard of."""
        seen = [
            self.table(t)
            .rows.select(["collection", "known_at"])
            .group_by("collection")
            .aggregate([("known_at", "min")])
            for t in ("sales", "transfers", "listings")
        ]
        plain_text = [t.set_column(0, "collection", t.column("collection").cast(pa.string())) for t in seen]
        first = pa.concat_tables([t.select(["collection", "known_at_min"]) for t in plain_text])
        first = first.group_by("collection").aggregate([("known_at_min", "min")])
        return first.column("collection").combine_chunks(), first.column(1).combine_chunks()

    def _known_when_first_seen(self, candidate: pa.Table) -> pa.Table:
        """Undated rows become known when their collection is first heard of.

        A file of traits carries no arrival times; traits that we know only from today would be invisible to
        all of history.
        """
        names, first = self._first_seen
        where = pc.index_in(candidate.column("collection").cast(pa.string()), value_set=names)
        seen = pc.coalesce(first.take(where.combine_chunks()), pa.scalar(self.span[0], TIMESTAMP))
        if "known_at" not in candidate.column_names:
            return candidate.append_column("known_at", seen)
        given = candidate.column("known_at").cast(pa.string())
        filled = pc.if_else(pc.is_null(given), seen.cast(pa.string()), given)
        return candidate.set_column(candidate.schema.get_field_index("known_at"), "known_at", filled)

    def _load_collections(self) -> LoadedTable:
        """Collections from their own file, and every other one that is seen in any table."""
        declared = self._load("collections")
        con = connect()
        try:
            con.register("declared", declared.rows)
            for table in ("sales", "transfers", "listings", "token_traits"):
                columns = ["chain", "collection", "contract", "known_at"]
                con.register(table, self.table(table).rows.select(columns))
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
        seen = validate("collections", derived, now=self._now, undated_known_at=self._now)
        rows = pa.concat_tables([declared.rows, _packed(seen.rows)])
        return LoadedTable(in_known_order(rows), declared.rejected, declared.reports)


def _nothing(table: str) -> SourceBatch:
    return SourceBatch(_packed(raw_table(table).schema.empty_table()), QUARANTINE.schema.empty_table())


def _hides(profile: FileProfile, table: str) -> bool:
    return table == "token_traits" and profile.trait_column is not None


def in_known_order(rows: pa.Table) -> pa.Table:
    """Rows by known_at, then by event_time where there is one, then as they came."""
    rows = rows.unify_dictionaries().combine_chunks()
    keys = [np.arange(rows.num_rows), rows.column("known_at").to_numpy().astype("int64")]
    if "event_time" in rows.column_names:
        keys.insert(1, rows.column("event_time").to_numpy().astype("int64"))
    order = np.lexsort(keys)
    return rows if bool((order[1:] > order[:-1]).all()) else rows.take(pa.array(order))


def _packed(rows: pa.Table) -> pa.Table:
    """The same rows, text that repeats stored once: they wait in memory until they are asked for."""
    for name in _REPEATED:
        if name in rows.column_names:
            where = rows.schema.get_field_index(name)
            rows = rows.set_column(where, name, rows.column(name).dictionary_encode())
    return rows


def plain(rows: pa.Table, table: str) -> pa.Table:
    """Rows of a `LoadedTable` in the contract's schema."""
    return rows.cast(raw_table(table).schema)
