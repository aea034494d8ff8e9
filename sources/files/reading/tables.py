"""What reading a file gives, and columns of any Arrow type as one of a few.

Here: the result and the types. Not here: the formats (`sources.files.reading.text`, `sources.files.reading.documents`,
`sources.files.reading.columnar`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.values import connect

ROW = "_row_of_file"
"""Row number: position counted from 0 in Parquet and in a JSON document, line counted from 1 in text and JSON lines."""

PART = "_part_of_row"
"""Position, from 1, of a fact within a row that holds several."""

_EXACT_FLOAT32 = 2**24

Broken = tuple[tuple[int, str, str, str], ...]
"""Lines that are no rows: (row number, reason, what was expected, the text found)."""


@dataclass(frozen=True)
class FileRows:
    """What a file held.

    Attributes:
        rows: Rows with all columns of the file plus `ROW`. Types are text, whole and real numbers, booleans, dates,
            times of day and timestamps; decimals and bytes have become text.
        broken: Lines that are no rows.
        notes: What had to be decided about the file as a whole, such as its encoding, for people.
        repeated: Names, lower case, that more than one column of the file has.
    """

    rows: pa.Table
    broken: Broken = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()

    @property
    def num_rows(self) -> int:
        """Rows and broken lines."""
        return int(self.rows.num_rows) + len(self.broken)


def unique_names(names: list[str]) -> tuple[list[str], frozenset[str]]:
    """Names of which no two are equal without case, nameless ones numbered; and the names that came twice."""
    seen: dict[str, int] = {}
    unique, repeated = [], set()
    for position, given in enumerate(names, 1):
        name = given.strip().strip("\ufeff") or f"unnamed_{position}"
        count = seen.get(name.lower(), 0)
        seen[name.lower()] = count + 1
        if count:
            repeated.add(name.lower())
            name = f"{name} ({count + 1})"
        unique.append(name)
    return unique, frozenset(repeated)


def numbered(table: pa.Table) -> pa.Table:
    """The table with `ROW` counting from 0."""
    return table.append_column(ROW, pa.array(np.arange(table.num_rows, dtype=np.int64)))


def plain_table(table: pa.Table) -> tuple[pa.Table, frozenset[str]]:
    """A table of any Arrow types as one of plain types, and the names that came twice."""
    while any(pa.types.is_struct(f.type) for f in table.schema):
        table = table.flatten()
    names, repeated = unique_names(table.column_names)
    return pa.table([plain(column) for column in table.columns], names=names), repeated


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, numbers, booleans, dates or timestamps; decimals are text, which loses no digit."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if isinstance(kind, pa.BaseExtensionType):
        return plain(pa.chunked_array([c.storage for c in column.chunks], kind.storage_type))
    if pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _bytes_as_text(column)
    if kind in (pa.binary_view(),):
        return _bytes_as_text(column.cast(pa.binary()))
    if kind == pa.string_view() or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_nested(kind) or pa.types.is_duration(kind):
        return _as_json(column)
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_float32(kind):
        if pc.any(pc.greater_equal(pc.abs(column), _EXACT_FLOAT32), min_count=0).as_py():
            # As rounded numbers, so that none is taken for an id: which one it was is lost.
            return _query(
                column, f"case when abs(x) < {_EXACT_FLOAT32} then x::varchar else printf('%.8e', x) end"
            )
        # By its shortest decimal: 1.1 as a 32-bit float is 1.1, not 1.10000002.
        return column.cast(pa.string()).cast(pa.float64())
    return column


def _bytes_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as 0x and hex; bytes that are all readable characters were text (some writers do not say so)."""
    column = column.cast(pa.binary())
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid:
        return _hex(column)
    readable = pc.match_substring_regex(text, r"^[\x20-\x7e]*$")
    return text if pc.all(readable, min_count=0).as_py() is not False else _hex(column)


def _hex(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _query(column, "'0x' || lower(hex(x))")


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _query(column, "case when x is not null then to_json(x)::varchar end")


def _query(column: pa.ChunkedArray, sql: str) -> pa.ChunkedArray:
    with connect() as con:
        con.register("t", pa.table({"x": column}))
        return con.execute(f"select {sql} as x from t").to_arrow_table().column("x").cast(pa.string())
