"""Writing rows to tables of the lake, and the zero of its time.

Here: appending and replacing. Not here: which tables there are (`ml.tables`), or who fills them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
"""The zero of the lake's timestamps, which are UTC without a zone."""


def append(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Append Arrow rows to a table, matching columns by name."""
    con.register("_incoming", rows)
    try:
        con.execute(f"insert into {name} by name select * from _incoming")
    finally:
        con.unregister("_incoming")


def replace(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Replace the whole content of a table by Arrow rows, matching columns by name."""
    con.execute(f"delete from {name}")
    append(con, name, rows)


def timestamp(microseconds: int) -> datetime:
    """Microseconds since the epoch as the lake's naive UTC timestamp."""
    return EPOCH + timedelta(microseconds=microseconds)
