"""Opening, writing and going back in time."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lake.config import SCHEMAS, LakeConfig
from lake.connection import Lake
from lake.errors import CatalogUrlError, UnknownSnapshotError
from lake.maintenance import maintain
from lake.tables import stored_columns
from lake.transaction import transaction
from ml.tables.ops import MART_WATERMARK
from ml.tables.registry import TABLES


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LakeConfig(tmp_path, memory_limit="500MB"))


def numbers(lake: Lake, snapshot: int | None = None) -> list[int]:
    with lake.read(snapshot) as con:
        return [row[0] for row in con.execute("select n from raw.numbers order by n").fetchall()]


def test_a_failed_write_leaves_the_previous_snapshot(lake: Lake) -> None:
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select 1 as n")
    before = lake.snapshot_id()
    with pytest.raises(duckdb.CatalogException), lake.write("fail half way") as con:
        con.execute("insert into raw.numbers values (2); select * from raw.no_such_table")
    assert numbers(lake) == [1]
    assert lake.snapshot_id() == before


@pytest.mark.parametrize("ended_by", ["rollback", "close"])
def test_a_rollback_that_fails_does_not_hide_the_first_error(ended_by: str) -> None:
    con = duckdb.connect()

    def fail() -> None:
        con.close() if ended_by == "close" else con.execute("rollback")
        raise ValueError("the first error")

    with pytest.raises(ValueError, match="the first error"), transaction(con):
        fail()


def test_every_commit_can_be_read_again(lake: Lake) -> None:
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select 1 as n")
    then = lake.snapshot_id()
    with lake.write("replace") as con:
        con.execute("delete from raw.numbers")
        con.execute("insert into raw.numbers select range from range(100, 200)")
    assert numbers(lake, then) == [1]
    assert len(numbers(lake)) == 100
    with pytest.raises(UnknownSnapshotError, match="999"), lake.read(999):
        pass


def test_reading_cannot_change_the_lake(lake: Lake) -> None:
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select 1 as n")
    with lake.read() as con, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        con.execute("insert into raw.numbers values (2)")


def test_a_new_lake_has_all_schemas_and_every_table_as_declared(tmp_path: Path) -> None:
    with Lake(LakeConfig(tmp_path), TABLES).read() as con:
        present = {row[0] for row in con.execute("select schema_name from duckdb_schemas()").fetchall()}
        stored = stored_columns(con)
    assert set(SCHEMAS) <= present
    assert stored == {table.name: {c.name: c.type for c in table.columns} for table in TABLES}


def test_a_moved_home_still_opens(tmp_path: Path) -> None:
    with Lake(LakeConfig(tmp_path / "here")).write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(1000)")
    (tmp_path / "here").rename(tmp_path / "there")
    assert len(numbers(Lake(LakeConfig(tmp_path / "there")))) == 1000


def test_maintenance_keeps_named_snapshots_and_all_rows(lake: Lake) -> None:
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(50)")
    trained_on = lake.snapshot_id()
    for start in (50, 100, 150):
        with lake.write("append") as con:
            con.execute(f"insert into raw.numbers select range from range({start}, {start + 50})")
    forgotten = trained_on + 1
    report = maintain(lake, keep_snapshots=[trained_on], retention_days=0)
    assert report.files_merged >= 2
    assert report.snapshots_expired >= 2
    assert numbers(lake) == list(range(200))
    assert numbers(lake, trained_on) == list(range(50))
    with pytest.raises(UnknownSnapshotError), lake.read(forgotten):
        pass


def test_maintenance_keeps_snapshots_that_the_marts_have_not_processed(tmp_path: Path) -> None:
    lake = Lake(LakeConfig(tmp_path, memory_limit="500MB"), [MART_WATERMARK])
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(50)")
    processed = lake.snapshot_id()
    with lake.write("remember") as con:
        con.execute(f"insert into ops.mart_watermark by name select {processed} as snapshot_id")
    with lake.write("append") as con:
        con.execute("insert into raw.numbers select range from range(50, 100)")
    maintain(lake, keep_snapshots=[], retention_days=0)
    with lake.read() as con:
        new = con.execute(
            "select min(n), count(*) "
            "from ducklake_table_insertions('lake', 'raw', 'numbers', ?::bigint, ?::bigint)",
            [processed + 1, lake.snapshot_id()],
        ).fetchone()
    assert new == (50, 50)


def test_the_error_for_wrong_settings_names_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(CatalogUrlError, match="postgresql://"):
        LakeConfig(tmp_path, catalog_url="mysql://somewhere/db")
    with pytest.raises(ValueError, match="4GB"):
        LakeConfig(tmp_path, memory_limit="plenty")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("500MB", 500_000_000), ("4 gb", 4_000_000_000), ("1.5GiB", 1_610_612_736), ("64KiB", 65_536)],
)
def test_a_limit_of_memory_in_bytes_is_what_duckdb_understands(
    tmp_path: Path, limit: str, expected: int
) -> None:
    """DuckDB shows its limit rounded to a tenth of a unit."""
    assert LakeConfig(tmp_path, memory_limit=limit).memory_bytes == expected
    with duckdb.connect(config={"memory_limit": limit}) as con:
        [(shown,)] = con.execute("select current_setting('memory_limit')").fetchall()
    number, unit = shown.split()
    size = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    assert abs(float(number) * size - expected) <= 0.1 * size
