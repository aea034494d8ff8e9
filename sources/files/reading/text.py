"""Text tables: CSV and its relatives, with the line of the file that each row is on.

Here: rows, broken lines, cells that are no UTF-8. Not here: packing, encoding and separators (`encodings`).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from sources.files.reading.encodings import Layout, as_utf8, find_layout, unpack
from sources.files.reading.tables import ROW, FileRows, unique_names
from sources.values import connect

_NULLS = ["", "null", "NULL", "NaN", "nan", "None"]
_BLOCK = 8 << 20
_CHUNK = 16 << 20
# Not in Windows-1252; and ÿ and þ, which are in hardly any name: these bytes are a mark of UTF-16 or noise.
_NOISE = frozenset((0xFE, 0xFF, 0x81, 0x8D, 0x8F, 0x90, 0x9D, 0x00))
Broken = list[tuple[int, str, str, str]]


def read_text(path: Path) -> FileRows:
    """Read a text table; a line that is no row, or a cell that cannot be decoded, costs its row only.

    Raises:
        UnreadableFileError, pa.ArrowException, OSError: If it cannot be read at all.
    """
    content, head, encoding = as_utf8(path)
    layout = find_layout(head, path.name)
    names, repeated = unique_names(layout.names)
    table, broken_at = _parse(path, content, layout, names)
    lines, broken = _numbers(path, content, layout, table.num_rows, broken_at)
    notes = [] if encoding == "utf-8" else [f"read as {encoding.upper()}"]
    table, undecodable, guess = _decode(table)
    notes += [guess] if guess else []
    rows = table.append_column(ROW, pa.array(lines))
    if undecodable:
        broken += [
            (int(lines[i]), "not_utf8", f"UTF-8 text in column {name}", text)
            for i, (name, text) in sorted(undecodable.items())
        ]
        keep = np.ones(rows.num_rows, bool)
        keep[list(undecodable)] = False
        rows = rows.filter(pa.array(keep))
    return FileRows(rows, tuple(sorted(broken)), tuple(notes), repeated)


def _open(path: Path, content: bytes | None) -> Any:
    return unpack(path) if content is None else io.BytesIO(content)


def _parse(path: Path, content: bytes | None, layout: Layout, names: list[str]) -> tuple[pa.Table, Broken]:
    """The table and the broken lines; their numbers count records from 1 (Arrow's own, skipped lines not counted)."""
    broken: Broken = []

    def set_aside(line: pa_csv.InvalidRow) -> str:
        if not line.text.lstrip().startswith("#"):
            expected = f"{line.expected_columns} fields, found {line.actual_columns}"
            broken.append((line.number or 0, "wrong_field_count", expected, line.text))
        else:
            broken.append((line.number or 0, "", "", ""))
        return "skip"

    def attempt(dtype: pa.DataType, *, careful: bool) -> pa.Table:
        broken.clear()
        with _open(path, content) as stream:
            return pa_csv.read_csv(
                stream,
                # With one thread Arrow numbers the lines it sets aside.
                read_options=pa_csv.ReadOptions(
                    use_threads=not careful, column_names=names, skip_rows=layout.skipped, block_size=_BLOCK
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=layout.separator,
                    quote_char=layout.quote,
                    invalid_row_handler=set_aside if careful else None,
                    newlines_in_values=True,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, dtype), strings_can_be_null=True, null_values=_NULLS
                ),
            )

    try:
        return attempt(pa.string(), careful=False), broken
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.string()) for name in names}), broken
    try:
        return attempt(pa.string(), careful=True), broken
    except pa.ArrowInvalid:
        # As bytes: one cell that is not UTF-8 must not cost the whole file.
        return attempt(pa.binary(), careful=True), broken


def _numbers(
    path: Path, content: bytes | None, layout: Layout, rows: int, broken: Broken
) -> tuple[np.ndarray, Broken]:
    """The file's line of each row, and the broken lines with theirs."""
    first, records = layout.skipped + 1, rows + len(broken)
    starts = np.arange(first, first + records, dtype=np.int64)
    if _count_lines(path, content) != layout.skipped + records:
        found = _record_starts(path, content, layout)
        if len(found) == records:
            starts = found
    if not broken:
        return starts, []
    at = np.array(sorted(number for number, *_ in broken), np.int64)
    positions = np.clip(at - first, 0, records - 1)
    good = np.ones(records, bool)
    good[positions] = False
    lines = dict(zip(at.tolist(), starts[positions].tolist(), strict=True))
    stated = [(lines[number], reason, expected, text) for number, reason, expected, text in broken if reason]
    return starts[good], stated


def _count_lines(path: Path, content: bytes | None) -> int:
    count, last = 0, b"\n"
    with _open(path, content) as stream:
        while chunk := stream.read(_CHUNK):
            chunk = bytes(chunk)
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def _record_starts(path: Path, content: bytes | None, layout: Layout) -> np.ndarray:
    """The line on which each record after the header begins; blank lines are no records.

    A line end within quotes ends no record: the quotes before it are odd in number.
    """
    with _open(path, content) as stream:
        data = np.frombuffer(stream.read(), np.uint8)
    follows = np.append(data[1:], 0)
    ends = np.flatnonzero((data == 10) | ((data == 13) & (follows != 10)))
    if not len(data) or data[-1] not in (10, 13):
        ends = np.append(ends, len(data))
    begins = np.append(0, ends[:-1] + 1)
    quotes = np.flatnonzero(data == ord(layout.quote))
    # Quotes of comments and notes before the header pair with nothing.
    quotes = quotes[quotes >= begins[layout.skipped]] if len(begins) > layout.skipped else quotes[:0]
    inside = np.searchsorted(quotes, begins) % 2 == 1
    widths = ends - begins - np.where((ends > 0) & (data[np.maximum(ends - 1, 0)] == 13), 1, 0)
    is_record = ~inside & (widths > 0)
    is_record[: layout.skipped] = False
    return np.flatnonzero(is_record).astype(np.int64) + 1


def _decode(table: pa.Table) -> tuple[pa.Table, dict[int, tuple[str, str]], str]:
    """The table as text, the cells that cannot be decoded by row, and a word on the encoding if it was guessed."""
    binary = [n for n in table.column_names if pa.types.is_binary(table.schema.field(n).type)]
    bad: dict[str, dict[int, bytes]] = {}
    texts: dict[str, pa.ChunkedArray] = {}
    has_utf8 = False
    for name in binary:
        texts[name], bad[name], multibyte = _decode_column(table.column(name))
        has_utf8 |= multibyte
    cells = [cell for cells in bad.values() for cell in cells.values()]
    latin = bool(cells) and not has_utf8 and not any(_is_noise(cell) for cell in cells)
    undecodable: dict[int, tuple[str, str]] = {}
    for name in binary:
        column = texts[name]
        if bad[name] and latin:
            where = np.zeros(len(column), bool)
            where[list(bad[name])] = True
            decoded = pa.array([c.decode("cp1252") for c in bad[name].values()], pa.string())
            column = pc.replace_with_mask(column.combine_chunks(), pa.array(where), decoded)
        elif bad[name]:
            for i, cell in bad[name].items():
                undecodable.setdefault(i, (name, cell.decode("utf-8", "backslashreplace")))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    guess = "not UTF-8: read as Windows-1252 (Latin-1), a guess; save it as UTF-8 to be sure" if latin else ""
    return table, undecodable, guess


def _decode_column(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, dict[int, bytes], bool]:
    """Text, with null for cells that are no UTF-8; those by position; whether another cell is UTF-8 beyond ASCII."""
    con = connect()
    try:
        con.register("t", pa.table({"x": column}))
        texts = (
            con.execute("select try(decode(x)) as x from t").to_arrow_table().column("x").cast(pa.string())
        )
    finally:
        con.close()
    wrong = pc.and_(pc.is_valid(column), pc.is_null(texts)).combine_chunks()
    positions = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
    bad = dict(zip(positions.tolist(), column.take(pa.array(positions)).to_pylist(), strict=True))
    multibyte = pc.any(pc.not_equal(pc.binary_length(texts), pc.utf8_length(texts))).as_py()
    return texts, bad, bool(multibyte)


def _is_noise(cell: bytes) -> bool:
    return not _NOISE.isdisjoint(cell)
