"""Text tables: CSV and its relatives, with the line of the file that each row is on.

Here: rows, broken lines, cells that are no UTF-8. Not here: packing, encoding and separators
(`sources.files.reading.encodings`).
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from sources.files.reading.encodings import Layout, as_utf8, find_layout, unpack
from sources.files.reading.tables import ROW, FileRows, unique_names

_NULLS = ["", "null", "NULL", "NaN", "nan", "None"]
_BLOCK = 8 << 20
_CHUNK = 16 << 20
# Not in Windows-1252; and ÿ and þ, which are in hardly any name: these bytes are a mark of UTF-16 or noise.
_NOISE = frozenset((0xFE, 0xFF, 0x81, 0x8D, 0x8F, 0x90, 0x9D, 0x00))
# Bytes 0x80 to 0xff of a text that is not UTF-8, while it is read as such: the last characters there are.
_BYTES = 0x10FF00
_KEEP_BYTES = "sources.files.keep_bytes"
Broken = list[tuple[int, str, str, str]]


def read_text(path: Path) -> FileRows:
    """Read a text table; a line that is no row, or a cell that cannot be decoded, costs its row only.

    Raises:
        UnreadableFileError, pa.ArrowException, OSError: If it cannot be read at all.
    """
    content, head, encoding = as_utf8(path)
    layout = find_layout(head, path.name)
    if layout.blanks:
        content = _without_blanks(path, content, layout)
    names, repeated = unique_names(layout.names)
    table, broken_at, has_bytes = _parse(path, content, layout, names)
    lines, broken = _numbers(path, content, layout, table.num_rows, broken_at)
    notes = [] if encoding == "utf-8" else [f"read as {encoding.upper()}"]
    table, undecodable, guess = _decode(table) if has_bytes else (table, {}, "")
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


def _without_blanks(path: Path, content: bytes | None, layout: Layout) -> bytes:
    """The whole text without blanks between a separator and a quote, where a reader would take the quote as text.

    Those within a field stay: fields in quotes are matched, and kept, as a whole.
    """
    with _open(path, content) as stream:
        whole = bytes(stream.read())
    mark, quote = re.escape(layout.separator.encode()), layout.quote.encode()
    field = quote + b"[^" + quote + b"]*" + quote
    return re.sub(b"(" + mark + b") +(?=" + quote + b")|(" + field + b")", rb"\1\2", whole)


def _parse(
    path: Path, content: bytes | None, layout: Layout, names: list[str]
) -> tuple[pa.Table, Broken, bool]:
    """The table, the broken lines and whether there are bytes that are no UTF-8, which are characters of `_BYTES` then.

    The lines' numbers count records from 1 (Arrow's own, skipped lines not counted).
    """
    broken: Broken = []

    def set_aside(line: pa_csv.InvalidRow) -> str:
        if not line.text.lstrip().startswith("#"):
            expected = f"{line.expected_columns} fields, found {line.actual_columns}"
            broken.append((line.number or 0, "wrong_field_count", expected, _spelled(line.text)))
        else:
            broken.append((line.number or 0, "", "", ""))
        return "skip"

    def attempt(stream: Any, *, careful: bool) -> pa.Table:
        return pa_csv.read_csv(
            stream,
            # With one thread Arrow numbers the lines it sets aside.
            read_options=pa_csv.ReadOptions(
                use_threads=not careful, column_names=names, skip_rows=layout.skipped, block_size=_BLOCK
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.separator,
                quote_char=layout.quote,
                escape_char=layout.escape or False,
                invalid_row_handler=set_aside if careful else None,
                newlines_in_values=True,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=_NULLS
            ),
        )

    try:
        with _open(path, content) as stream:
            return attempt(stream, careful=False), broken, False
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.string()) for name in names}), broken, False
    # Arrow hands a line over as text: one that is no UTF-8 would end the reading, and one cell must not.
    with _open(path, content) as stream:
        given = bytes(stream.read())
    valid = given.decode("utf-8", _KEEP_BYTES).encode()
    return attempt(io.BytesIO(valid), careful=True), broken, len(valid) != len(given)


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
    bad = {name: _cells_with_bytes(table.column(name)) for name in table.column_names}
    bad = {name: cells for name, cells in bad.items() if cells}
    if not bad:
        return table, {}, ""
    cells = [cell for cells in bad.values() for cell in cells.values()]
    has_utf8 = any(_is_multibyte(table.column(name)) for name in table.column_names)
    latin = not has_utf8 and not any(_is_noise(cell) for cell in cells)
    undecodable: dict[int, tuple[str, str]] = {}
    for name, wrong in bad.items():
        if latin:
            where = np.zeros(table.num_rows, bool)
            where[list(wrong)] = True
            decoded = pa.array([_bytes(c).decode("cp1252") for c in wrong.values()], pa.string())
            column = pc.replace_with_mask(table.column(name).combine_chunks(), pa.array(where), decoded)
            table = table.set_column(table.schema.get_field_index(name), name, column)
        else:
            for i, cell in wrong.items():
                undecodable.setdefault(i, (name, _spelled(cell)))
    guess = "not UTF-8: read as Windows-1252 (Latin-1), a guess; save it as UTF-8 to be sure" if latin else ""
    return table, undecodable, guess


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8 as characters that no text has."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(_BYTES + b) for b in error.object[error.start : error.end]), error.end


codecs.register_error(_KEEP_BYTES, _keep_bytes)


def _bytes(text: str) -> bytes:
    """A text as it was in the file."""
    return b"".join(bytes([ord(c) - _BYTES]) if ord(c) >= _BYTES + 128 else c.encode() for c in text)


def _spelled(text: str) -> str:
    """A text in which bytes that are no UTF-8 are written as a backslash, x and two hex digits."""
    return "".join(f"\\x{ord(c) - _BYTES:02x}" if ord(c) >= _BYTES + 128 else c for c in text)


def _cells_with_bytes(column: pa.ChunkedArray) -> dict[int, str]:
    """Cells with bytes that are no UTF-8, by position."""
    # The first three bytes of the characters that stand for them in UTF-8.
    found = pc.match_substring(column.cast(pa.binary()), b"\xf4\x8f\xbe")
    found = pc.or_(found, pc.match_substring(column.cast(pa.binary()), b"\xf4\x8f\xbf"))
    positions = np.flatnonzero(pc.fill_null(found, False).combine_chunks().to_numpy(zero_copy_only=False))
    return dict(zip(positions.tolist(), column.take(pa.array(positions)).to_pylist(), strict=True))


def _is_multibyte(column: pa.ChunkedArray) -> bool:
    """Whether a cell without such bytes is UTF-8 beyond ASCII."""
    kept = pc.replace_substring_regex(column, f"[{chr(_BYTES + 128)}-{chr(_BYTES + 255)}]", "")
    return bool(pc.any(pc.not_equal(pc.binary_length(kept), pc.utf8_length(kept)), min_count=0).as_py())


def _is_noise(cell: str) -> bool:
    return not _NOISE.isdisjoint(_bytes(cell))
