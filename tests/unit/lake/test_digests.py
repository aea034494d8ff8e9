"""Files that change after they were written are found, whichever way they were written and whatever became of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from benchmarks.damage import flip_bit
from lake.connection import Lake
from lake.digests import FileReview, review
from lake.maintenance import maintain
from tests.unit.lake.conftest import old_lake, opened, written


def reviewed(lake: Lake) -> FileReview:
    folder = lake.data_folder
    with lake.read() as con:
        return review(con, folder)


def files(lake: Lake) -> list[Path]:
    return sorted(Path(lake.data_folder).rglob("*.parquet"))


def change(lake: Lake, *statements: str) -> None:
    for statement in statements:
        with lake.write("change") as con:
            con.execute(statement)


def commit_alone(lake: Lake) -> None:
    """What a writer that is killed after its commit leaves: a table, and no digest."""
    with lake._attached() as con:
        con.execute("create table raw.last as select range as n from range(2000)")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = written(tmp_path)
    change(
        made,
        "create table raw.words as select range as n, 'word ' || range as word from range(5000)",
        "delete from raw.words where n % 7 = 0",
        "insert into raw.words select range, 'more' from range(3000)",
    )
    return made


def test_every_file_gets_its_digest_when_it_is_written(lake: Lake) -> None:
    with lake.writing("another connection"), lake._attached() as con:
        con.execute("create table raw.built as select range as n from range(2000)")
    found = reviewed(lake)
    assert (found.files, found.unrecorded, found.damaged) == (len(files(lake)), 0, ())
    assert found.bytes == sum(file.stat().st_size for file in files(lake))


def test_a_flipped_bit_is_found_wherever_it_is(lake: Lake) -> None:
    rng = random.Random(7)
    answered = 0
    for _ in range(40):
        file = rng.choice(files(lake))
        whole = file.read_bytes()
        flip_bit(file, rng)
        try:
            with opened(lake.config.home).read() as con:
                con.execute("select sum(n), count(word), min(word) from raw.words").fetchall()
                con.execute("select sum(n) from raw.numbers").fetchall()
            answered += 1
        except duckdb.Error:
            pass
        found = reviewed(lake).damaged
        assert [Path(lake.data_folder, one.path) for one in found] == [file]
        assert found[0].found == "other bytes than were written"
        file.write_bytes(whole)
    assert answered > 10  # without digests: a query that answers
    assert reviewed(lake).damaged == ()


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (Path.unlink, "no file"),
        (_truncated, "bytes instead of"),
        (_longer, "bytes instead of"),
        (_folder, "instead of|cannot be read"),
    ],
)
def test_a_file_that_is_not_there_as_it_was_is_named(
    lake: Lake, harm: Callable[[Path], object], found: str
) -> None:
    table = Path(lake.data_folder) / "raw" / "numbers"
    harm(next(table.glob("*.parquet")))
    damaged = reviewed(lake).damaged
    assert [(one.table, one.rows, one.end_snapshot) for one in damaged] == [("raw.numbers", 100, None)]
    assert any(word in damaged[0].found for word in found.split("|"))


def test_what_only_earlier_snapshots_have_comes_last(lake: Lake) -> None:
    change(lake, "drop table raw.numbers")
    for file in files(lake):
        _longer(file)
    damaged = reviewed(lake).damaged
    assert [one.end_snapshot is None for one in damaged] == [True] * (len(damaged) - 1) + [False]
    assert damaged[-1].table == "raw.numbers"


def test_a_lake_without_digests_gets_them_with_its_next_write(tmp_path: Path) -> None:
    old_lake(tmp_path, tmp_path / "lake" / "data")
    lake = opened(tmp_path)
    assert reviewed(lake).unrecorded == 2
    change(lake, "insert into raw.numbers select range from range(100, 200)")
    assert reviewed(lake).unrecorded == 0


def test_a_writer_that_was_killed_after_its_commit_leaves_the_digest_to_the_next(lake: Lake) -> None:
    commit_alone(lake)
    assert reviewed(lake).unrecorded == 1
    change(lake, "create table raw.empty (n bigint)")
    assert reviewed(lake).unrecorded == 0


def test_a_file_that_was_cut_before_its_digest_was_recorded_gets_none(lake: Lake) -> None:
    commit_alone(lake)
    _truncated(next((Path(lake.data_folder) / "raw" / "last").glob("*.parquet")))
    change(lake, "create table raw.empty (n bigint)")
    assert [one.table for one in reviewed(lake).damaged] == ["raw.last"]


def test_maintenance_records_what_it_writes_and_forgets_what_it_removes(lake: Lake) -> None:
    for n in range(5):
        change(lake, f"insert into raw.words select range + {n}, 'again' from range(2000)")
    before = {file.name for file in files(lake)}
    for _ in range(2):  # the second one removes what the first has replaced
        maintain(lake, [], retention_days=0)
    assert {file.name for file in files(lake)} != before
    found = reviewed(lake)
    assert (found.unrecorded, found.damaged) == (0, ())
    with lake.read() as con:
        row = con.execute("select count(*) from __ducklake_metadata_lake.assay_file_digests").fetchone()
    assert row == (found.files,)
