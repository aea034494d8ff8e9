"""What a table's layout costs to write and saves to read: as it is, in order of collection, in buckets of collections.

    python -m benchmarks.layout HOME

Reads a finished home and writes copies of its largest tables that are read by collection to a scratch lake. A read
takes every column of one collection, of 300, and of all; the layouts take turns, and the median of the turns counts.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.machine import describe_machine
from lake.config import LakeConfig
from lake.connection import Lake
from lake.storage import quoted

TABLES = ("marts.fct_sales", "marts.dim_tokens", "features.sale_features", "features.token_features")
BUCKETS = 16
LAYOUTS = {
    "in order of collection": "",
    f"{BUCKETS} buckets": f"set partitioned by (bucket({BUCKETS}, collection))",
}
"""What it is called → how a table of the scratch lake is altered before it is written."""
TURNS = 5


def main(home: Path) -> None:
    """Print one JSON document: per table and layout the seconds to write, the files, and the reads."""
    lake = Lake(LakeConfig(home=home))
    with lake.read() as source, tempfile.TemporaryDirectory() as scratch:
        copies = Lake(LakeConfig(home=Path(scratch)))
        keys = [row[0] for row in source.execute("select collection from marts.dim_collections").fetchall()]
        asked: dict[str, Sequence[str] | None] = {
            "one collection": [sorted(keys)[len(keys) // 2]],
            "300 collections": sorted(random.Random(1).sample(keys, min(300, len(keys)))),
            "all": None,
        }
        report = {table: measure(source, copies, Path(scratch), table, asked) for table in TABLES}
    print(json.dumps({"collections": len(keys), "tables": report, "machine": describe_machine()}, indent=2))


def measure(
    source: duckdb.DuckDBPyConnection,
    copies: Lake,
    scratch: Path,
    table: str,
    asked: dict[str, Sequence[str] | None],
) -> dict[str, Any]:
    """One table: its rows, and for each layout what it costs and saves."""
    exported = scratch / "exported.parquet"
    source.execute(f"copy (from {table}) to {quoted(str(exported))} (format parquet)")
    (rows,) = source.execute(f"select count(*) from {table}").fetchone() or (0,)
    readers: dict[str, Callable[[Sequence[str] | None], tuple[float, int]]] = {
        "as it is": lambda keys: read(source, table, keys)
    }
    found: dict[str, dict[str, Any]] = {"as it is": {}}
    for number, (layout, change) in enumerate(LAYOUTS.items()):
        name = f"copy_{number}"
        with copies.write(layout) as con:
            con.execute(f"drop table if exists {name}")
            con.execute(f"create table {name} as from read_parquet({quoted(str(exported))}) limit 0")
            if change:
                con.execute(f"alter table {name} {change}")
            began = time.perf_counter()
            con.execute(f"insert into {name} from read_parquet({quoted(str(exported))}) order by collection")
            found[layout] = {"write_s": round(time.perf_counter() - began, 2)}
        readers[layout] = partial(read_copy, copies, name)
    for question, keys in asked.items():
        taken: dict[str, list[tuple[float, int]]] = {layout: [] for layout in readers}
        for _ in range(TURNS):
            for layout, reader in readers.items():
                taken[layout].append(reader(keys))
        for layout, turns in taken.items():
            found[layout][question] = {
                "ms": round(1000 * statistics.median(seconds for seconds, _ in turns), 1),
                "files": turns[0][1],
            }
    return {"rows": rows, "layouts": found}


def read_copy(copies: Lake, name: str, keys: Sequence[str] | None) -> tuple[float, int]:
    """As `read`, from the scratch lake."""
    with copies.read() as con:
        return read(con, name, keys)


def read(con: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str] | None) -> tuple[float, int]:
    """Seconds to read every column of the collections, and the files that were opened for it."""
    chosen = "" if keys is None else "where collection in (select unnest($keys))"
    if keys is not None and len(keys) == 1:
        chosen = "where collection = $keys[1]"
    statement = f"select count(*), bit_xor(hash({table.split('.')[-1]})) from {table} {chosen}"
    values = {} if keys is None else {"keys": list(keys)}
    began = time.perf_counter()
    con.execute(statement, values).fetchall()
    seconds = time.perf_counter() - began
    plan = "\n".join(row[1] for row in con.execute(f"explain analyze {statement}", values).fetchall())
    return seconds, sum(int(n) for n in re.findall(r"Total Files Read: (\d+)", plan))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
