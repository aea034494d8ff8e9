"""What the tests of the sources share: a small market, and reading it whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.contract import QUARANTINE, RAW_TABLES
from sources.files.source import FilesSource
from sources.protocol import Source
from sources.simulator.source import SimulatorSource, open_simulator

NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone


def read_all(
    source: Source, table: str, start: datetime | None = None, end: datetime | None = None
) -> tuple[pa.Table, pa.Table]:
    """All rows and rejected rows of a window."""
    batches = list(source.read(table, start or source.first_known(), end or source.watermark()))
    rows = pa.concat_tables([RAW_TABLES[table].schema.empty_table(), *(b.rows for b in batches)])
    rejected = pa.concat_tables([QUARANTINE.schema.empty_table(), *(b.rejected for b in batches)])
    return rows, rejected


def files(folder: Path, **content: str | bytes | pa.Table) -> FilesSource:
    """A folder with files: name__suffix = content."""
    for name, body in content.items():
        path = folder / name.replace("__", ".")
        if isinstance(body, pa.Table):
            pq.write_table(body, path)
        else:
            path.write_bytes(body.encode() if isinstance(body, str) else body)
    return FilesSource(folder, now=NOW)


def ask(query: str, **tables: pa.Table) -> tuple[Any, ...]:
    """The one row a query gives over Arrow tables."""
    con = duckdb.connect()
    try:
        for name, table in tables.items():
            con.register(name, table)
        row = con.execute(query).fetchone()
    finally:
        con.close()
    assert row is not None
    return row


def read_by_day(source: Source, table: str, start: datetime, end: datetime) -> tuple[pa.Table, pa.Table]:
    """The same, one day after the other."""
    parts = []
    while start < end:
        parts.append(read_all(source, table, start, min(start + timedelta(days=1), end)))
        start += timedelta(days=1)
    rows, rejected = zip(*parts, strict=True)
    return pa.concat_tables(rows), pa.concat_tables(rejected)


SMALL: dict[str, Any] = {
    "collections": 12, "days": 40, "mean_tokens": 250.0, "mean_sales": 900.0, "seed": 3,
}  # fmt: skip


@pytest.fixture(scope="session")
def small_market() -> SimulatorSource:
    """Twelve collections over forty days without faults."""
    return open_simulator(**SMALL)
