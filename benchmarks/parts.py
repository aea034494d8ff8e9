"""What one part of a model takes when it is built in parts (ADR 70): seconds, memory and disk.

    python -m benchmarks.parts HOME --memory 8GB --memory 4GB

Compiles the models as for a build of everything and runs the statement of one part into a temporary table: the home
does not change. Prints one JSON document; `bytes_a_row` is right if the parts end, and write little to disk.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from benchmarks.machine import describe_machine
from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES
from orchestration.marts.manifest import prepared_manifest
from orchestration.marts.trace_columns import compile_models

EVERY_S = 0.2
"""Seconds between two looks at what DuckDB holds."""


def main(
    home: Annotated[Path, typer.Argument(help="A finished home.")],
    memory: Annotated[
        list[str] | None, typer.Option(help="Memory limit, e.g. 4GB; several are tried.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model; default: all that are built in parts.")
    ] = None,
) -> None:
    """Measure and print."""
    nodes = {node.name: node for node in prepared_manifest().nodes.values() if "bytes_a_row" in node.config}
    found = []
    for limit in memory or ["4GB"]:
        config = LakeConfig(home=home, memory_limit=limit)
        statements = compile_models(Lake(config, TABLES))
        with Lake(config).read() as con:
            for name in model or sorted(nodes):
                node = nodes[name]
                statement = statements[f"{node.schema}.{node.alias}"]["compiled_code"]
                found.append({"model": name, "memory": limit, **measure(con, statement)})
    print(json.dumps({"parts": found, "machine": describe_machine()}, indent=2))


def measure(con: duckdb.DuckDBPyConnection, statement: str) -> dict[str, Any]:
    """Rows, seconds and the most memory and disk, in GB, of the first part; the error if it fails."""
    con.execute("set variable part = 0")
    most = {"memory_gb": 0.0, "disk_gb": 0.0}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(con.cursor(), most, ended))
    watcher.start()
    began, result = time.perf_counter(), {}
    try:
        con.execute(f"create or replace temp table one_part as {statement}")
        result["rows"] = con.execute("select count(*) from one_part").fetchall()[0][0]
    except duckdb.Error as error:
        result["error"] = str(error).splitlines()[0]
    finally:
        ended.set()
        watcher.join()
    seconds = round(time.perf_counter() - began, 1)
    con.execute("drop table if exists one_part")
    return {**result, "seconds": seconds, **{name: round(size, 2) for name, size in most.items()}}


def _watch(con: duckdb.DuckDBPyConnection, most: dict[str, float], ended: threading.Event) -> None:
    question = "select sum(memory_usage_bytes) / 1e9, sum(temporary_storage_bytes) / 1e9 from duckdb_memory()"
    while not ended.wait(EVERY_S):
        [(memory, disk)] = con.execute(question).fetchall()
        most["memory_gb"], most["disk_gb"] = max(most["memory_gb"], memory), max(most["disk_gb"], disk)


if __name__ == "__main__":
    typer.run(main)
