"""Lakes as they were made before their folders were marked, and files that belong to no lake or to another one."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import duckdb

from lake.config import SCHEMAS, LakeConfig
from lake.connection import Lake
from lake.extensions import open_database

DAY_S = 86_400.0


def opened(home: Path, data_path: Path | None = None) -> Lake:
    return Lake(
        LakeConfig(home, data_path=None if data_path is None else str(data_path), memory_limit="500MB")
    )


def written(home: Path, data_path: Path | None = None) -> Lake:
    lake = opened(home, data_path)
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(100)")
    return lake


def rows(lake: Lake, snapshot: int | None = None) -> int:
    with lake.read(snapshot) as con:
        row = con.execute("select count(distinct n) from raw.numbers").fetchone()
    assert row is not None
    return int(row[0])


def attach_plainly(catalog: Path, data_path: str) -> duckdb.DuckDBPyConnection:
    """DuckLake without anything of ours: the files go directly into the data path."""
    catalog.parent.mkdir(parents=True, exist_ok=True)
    con = open_database(("ducklake", "sqlite_scanner"))
    con.execute(
        f"attach 'ducklake:sqlite:{catalog}' as lake "
        f"(data_path '{data_path}/', override_data_path true, meta_journal_mode 'WAL', meta_busy_timeout 10000)"
    )
    con.execute("use lake")
    return con


def old_lake(home: Path, data_path: Path) -> int:
    """A lake of the layout without a private folder, 100 rows in two snapshots; returns the first of them."""
    con = attach_plainly(home / "lake" / "catalog.sqlite", str(data_path))
    for schema in SCHEMAS:
        con.execute(f"create schema {schema}")
    con.execute("create table raw.numbers as select range as n from range(50)")
    first = con.execute("select id from ducklake_current_snapshot('lake')").fetchone()
    con.execute("insert into raw.numbers select range from range(50, 100)")
    con.close()
    assert first is not None
    return int(first[0])


def foreign_file(path: Path, age_days: float = 10) -> Path:
    """A Parquet file of another program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"copy (select 42 as answer) to '{path}' (format parquet)")
    os.utime(path, (time.time() - age_days * DAY_S,) * 2)
    return path


def our_name(age_days: float, suffix: str = "") -> str:
    """A name as DuckLake generates it, at a time some days ago."""
    milliseconds = f"{int((time.time() - age_days * DAY_S) * 1000):012x}"
    rest = uuid.uuid4().hex
    return f"ducklake-{milliseconds[:8]}-{milliseconds[8:]}-7{rest[:3]}-a{rest[3:6]}-{rest[6:18]}{suffix}.parquet"
