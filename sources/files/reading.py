"""Reading one Parquet or CSV file into Arrow, with a row number, and saying precisely why it cannot be read.

Here: bytes → Arrow. Not here: what the columns mean (`mapping`, `candidates`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sources.protocol import SourceError

ROW = "_row_of_file"
"""Row number: position counted from 0 in Parquet, line number counted from 1 (the header) in CSV."""

SUFFIXES = (".parquet", ".csv")


class FilesSourceError(SourceError):
    """A directory of files cannot be used as a source."""


class EmptyDirectoryError(FilesSourceError):
    """The directory does not exist or holds no Parquet or CSV file."""


class MissingSalesError(FilesSourceError):
    """No file of the directory holds sales."""


class MissingColumnError(FilesSourceError):
    """A file lacks a column that its table cannot do without."""


class UnreadableFileError(FilesSourceError):
    """A file is truncated, corrupt or not what its suffix says."""


@dataclass(frozen=True)
class FileRows:
    """What a file held.

    Attributes:
        rows: Rows with all columns of the file plus `ROW`.
        broken: Lines that are not rows: (row number, reason, what was expected, the text found).
    """

    rows: pa.Table
    broken: tuple[tuple[int, str, str, str], ...] = ()


def read_file(path: Path) -> FileRows:
    """Read a Parquet or CSV file.

    Raises:
        UnreadableFileError: If it cannot be read at all; names the file and what was expected.
    """
    try:
        file = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "a CSV file with a header line" if path.suffix.lower() == ".csv" else "a complete Parquet file"
        raise UnreadableFileError(
            f"{path.name}: expected {kind} ({path.stat().st_size} bytes), found: {error};"
            " write the file again or take it out of the directory"
        ) from error
    names = Counter(name.lower() for name in file.rows.column_names)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UnreadableFileError(
            f"{path.name}: expected every column once (upper and lower case are the same), found"
            f" {', '.join(twice)} more than once; rename or drop one"
        )
    return file


def _read_parquet(path: Path) -> FileRows:
    table = pq.read_table(path, partitioning=None)
    columns = [_plain(column) for column in table.columns]
    numbered = pa.table(columns, names=table.column_names)
    return FileRows(numbered.append_column(ROW, pa.array(np.arange(table.num_rows, dtype=np.int64))))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without dictionary encoding, decimals as text (DuckDB then reads them exactly)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_decimal(column.type) else column


def _read_csv(path: Path) -> FileRows:
    broken: list[tuple[int, str, str, str]] = []

    def set_aside(line: pa_csv.InvalidRow) -> str:
        expected = f"{line.expected_columns} fields, found {line.actual_columns}"
        broken.append((line.number, "wrong_field_count", expected, line.text))
        return "skip"

    with path.open("rb") as stream:
        header = stream.readline().decode("utf-8-sig").strip()
    if not header:
        raise UnreadableFileError(f"{path.name}: expected a header line, found an empty first line")
    names = next(iter(pa_csv.read_csv(pa.BufferReader(f"{header}\n".encode())).column_names for _ in (0,)))
    table = pa_csv.read_csv(
        path,
        # One thread: only then does Arrow number the lines it sets aside.
        read_options=pa_csv.ReadOptions(use_threads=False),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=set_aside, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            # As bytes: one cell that is not UTF-8 must not cost the whole file.
            column_types={name: pa.binary() for name in names},
            strings_can_be_null=True,
            null_values=["", "null", "NULL", "NaN", "nan", "None"],
        ),
    )
    gaps = {number for number, *_ in broken}
    last = table.num_rows + len(gaps) + 2
    numbers = np.array([n for n in range(2, last) if n not in gaps] if gaps else np.arange(2, last), np.int64)
    columns, undecodable = [], {}
    for name in table.column_names:
        column, bad = _decode(table.column(name))
        columns.append(column)
        undecodable.update({int(i): (name, text) for i, text in bad.items() if int(i) not in undecodable})
    rows = pa.table([*columns, pa.array(numbers)], names=[*table.column_names, ROW])
    if undecodable:
        broken += [
            (int(numbers[i]), "not_utf8", f"UTF-8 text in column {name}", text)
            for i, (name, text) in sorted(undecodable.items())
        ]
        keep = np.ones(rows.num_rows, bool)
        keep[list(undecodable)] = False
        rows = rows.filter(pa.array(keep))
    return FileRows(rows, tuple(broken))


def _decode(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, dict[int, str]]:
    """Bytes as text; cells that are not UTF-8 become null and are returned by position."""
    try:
        return column.cast(pa.string()), {}
    except pa.ArrowInvalid:
        bad: dict[int, str] = {}
        texts: list[str | None] = []
        for i, cell in enumerate(column.to_pylist()):
            text = None if cell is None else cell.decode("utf-8", "backslashreplace")
            if cell is not None and not _is_utf8(cell):
                bad[i] = str(text)
            texts.append(text)
        return pa.chunked_array([pa.array(texts, pa.string())]), bad


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
