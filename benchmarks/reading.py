"""How fast a large CSV of sales is read, beside DuckDB's own reader of the same file.

    python -m benchmarks.reading [--rows 2000000] [--folder DIR]

The file has the columns of an export (eight, about 245 bytes a row). Figures from one process: DuckDB's `read_csv` to
an Arrow table, with types found by itself and with all columns as text; our reader to the same, with the line of each
row kept; and the whole source, which also judges, identifies and sorts every row. Medians of three; ratios compare
measurements of the same session.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import duckdb
import typer

from sources.files.reading.text import read_text
from sources.files.source import FilesSource

_ROWS = """
    select 'Collection ' || (i % 50) as collection, '0x' || lpad(hex(i % 50), 40, '0') as contract,
        i % 10000 as token_id, strftime(timestamp '2021-01-01' + to_seconds(i * 30), '%Y-%m-%dT%H:%M:%SZ') as timestamp,
        round(0.5 + (hash(i) % 100000) / 10000, 4) as price_eth,
        '0x' || left(md5('b' || i) || md5('c' || i), 40) as buyer,
        '0x' || left(md5('s' || i) || md5('t' || i), 40) as seller, '0x' || md5('x' || i) || md5('y' || i) as tx_hash
    from range($rows) as t(i)"""


def write_sales(path: Path, rows: int) -> None:
    """A CSV of invented sales, each in a transaction of its own."""
    duckdb.sql(f"copy ({_ROWS.replace('$rows', str(rows))}) to '{path}' (format csv, header)")


def seconds(what: Callable[[], object], times: int = 3) -> float:
    """Median wall time."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        what()
        found.append(time.perf_counter() - started)
    return median(found)


def measure(path: Path) -> dict[str, float]:
    """Seconds of each way to read the file."""

    def by_duckdb(options: str) -> None:
        with duckdb.connect() as con:
            con.execute(f"select * from read_csv('{path}'{options})").to_arrow_table()

    return {
        "DuckDB, types found": seconds(lambda: by_duckdb("")),
        "DuckDB, all text": seconds(lambda: by_duckdb(", all_varchar = true")),
        "our reader": seconds(lambda: read_text(path)),
        "the whole source": seconds(lambda: FilesSource(path.parent).everything(), 1),
    }


def main(
    rows: Annotated[int, typer.Option(help="Rows of the file.")] = 2_000_000,
    folder: Annotated[Path | None, typer.Option(help="Where the file is written.")] = None,
) -> None:
    """Write the file, read it each way and print rows per second and ratios."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "sales.csv"
        write_sales(path, rows)
        size = path.stat().st_size / 1e6
        print(f"{rows:,} rows, {size:,.0f} MB")
        found = measure(path)
    best = min(found["DuckDB, types found"], found["DuckDB, all text"])
    for what, took in found.items():
        print(f"  {what:<24}{took:8.2f} s {rows / took:14,.0f} rows/s   {best / took:5.2f} x DuckDB's best")


if __name__ == "__main__":
    typer.run(main)
