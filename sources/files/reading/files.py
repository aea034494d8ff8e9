"""Reading one file of any format, and saying precisely why it cannot be read.

Here: the one way to a file's rows. Not here: the formats (beside this file), and what columns mean
(`sources.files.recognition`).
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import replace

import duckdb
import pyarrow as pa

from sources.files.errors import UnreadableFileError
from sources.files.reading.columnar import read_columnar
from sources.files.reading.discovery import DataFile
from sources.files.reading.documents import read_document
from sources.files.reading.encodings import unpack
from sources.files.reading.tables import FileRows
from sources.files.reading.text import read_text

_EXPECTED = {
    "text": "a text table with a header line",
    "json": "JSON or JSON lines",
    "parquet": "a complete Parquet file",
    "arrow": "a complete Arrow file",
}


def read_file(file: DataFile) -> dict[DataFile, FileRows]:
    """Read a file of a known format; columns that its folders' names hold (`chain=ethereum/`) are added.

    Returns:
        The file and its rows; of a document with several lists each list, under a name of its own (`a.json/listings`).

    Raises:
        UnreadableFileError: If it cannot be read at all; names the file and what was expected.
    """
    try:
        if file.format == "text" and not _is_json(file):
            read = {"": read_text(file.path)}
        elif file.format in ("json", "text"):
            read = read_document(file.path)
        else:
            read = {"": read_columnar(file.path, file.format)}
    except UnreadableFileError as error:
        raise UnreadableFileError(str(error).replace(f"{file.path.name}:", f"{file.name}:", 1)) from None
    except (pa.ArrowException, duckdb.Error, OSError, ValueError, EOFError, csv.Error) as error:
        stated = str(error).replace(str(file.path), file.name).splitlines()
        raise UnreadableFileError(
            f"{file.name}: expected {_EXPECTED[file.format]} ({file.path.stat().st_size} bytes), found:"
            f" {stated[0][:200] if stated else type(error).__name__};"
            " write the file again or take it out of the directory"
        ) from error
    main = next(iter(read))
    return {file.list_at(key, main=key == main): _with_partition(file, rows) for key, rows in read.items()}


def _with_partition(file: DataFile, read: FileRows) -> FileRows:
    rows = read.rows
    present = {name.lower() for name in rows.column_names}
    for name, value in file.partition.items():
        if name.lower() not in present:
            rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
    return replace(read, rows=rows)


def _is_json(file: DataFile) -> bool:
    """Whether a text begins as JSON does, whatever its suffix is."""
    with unpack(file.path) as stream:
        start = bytes(stream.read(64)).removeprefix(codecs.BOM_UTF8).lstrip()
    return re.match(rb'\[\s*[\[{]|\{\s*"', start) is not None
