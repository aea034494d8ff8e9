"""Parquet and Arrow files of any writer.

Here: the two formats. Not here: their types (`sources.files.reading.tables`).
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from sources.files.reading.tables import FileRows, numbered, plain_table


def read_columnar(path: Path, kind: str) -> FileRows:
    """Read a Parquet file (`kind` parquet) or an Arrow file (arrow).

    Raises:
        pa.ArrowException, OSError: If it is no complete file of its format.
    """
    table = _read_arrow(path) if kind == "arrow" else _read_parquet(path)
    rows, repeated = plain_table(table)
    return FileRows(numbered(rows), repeated=repeated)


def _read_arrow(path: Path) -> pa.Table:
    """An Arrow file, or a stream of one."""
    with path.open("rb") as stream:
        if stream.read(4) != b"\xff\xff\xff\xff":
            return feather.read_table(path)
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all()


def _read_parquet(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()
