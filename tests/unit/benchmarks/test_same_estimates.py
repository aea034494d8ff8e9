"""Two homes compared to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.same_estimates import Difference, compare
from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES


def home(folder: Path, rows: str) -> Path:
    with Lake(LakeConfig(home=folder, memory_limit="500MB")).write("test") as con:
        con.execute("create table features.numbers as select * from (" + rows + ")")
    return folder


def test_the_same_rows_in_another_order_and_another_snapshot_are_the_same(tmp_path: Path) -> None:
    a = home(tmp_path / "a", "values (1, 0.1, 7), (2, null, 7), (2, null, 7)) as t(k, x, snapshot_id")
    b = home(tmp_path / "b", "values (2, null, 8), (1, 0.1, 9), (2, null, 8)) as t(k, x, snapshot_id")
    (found,) = compare(a, b, ("features.numbers",))
    assert found == Difference("features.numbers", 3, 3, 0, 0, ())
    assert found.same


def test_the_last_bit_counts_and_so_does_a_row_too_many(tmp_path: Path) -> None:
    a = home(tmp_path / "a", "values (1, 0.3::double), (2, 5)) as t(k, x")
    b = home(tmp_path / "b", "values (1, 0.1::double + 0.2::double), (2, 5), (2, 5)) as t(k, x")
    (found,) = compare(a, b, ("features.numbers",))
    assert (found.only_a, found.only_b) == (1, 2)
    assert found.columns == ("x",)
    assert not found.same


def test_a_column_that_one_home_lacks_is_named(tmp_path: Path) -> None:
    a = home(tmp_path / "a", "values (1)) as t(k")
    b = home(tmp_path / "b", "values (1, 2)) as t(k, y")
    (found,) = compare(a, b, ("features.numbers",))
    assert found.columns == ("y",)
    assert not found.same


def test_a_folder_without_a_lake_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    a = home(tmp_path / "a", "values (1)) as t(k")
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-m", "benchmarks.same_estimates"]
    for homes in ((a, empty), (empty, a)):
        ended = subprocess.run([*command, *map(str, homes)], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert "Expected a home with a lake" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_the_command_prints_a_row_per_table_and_ends_with_1_when_homes_differ(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in "abc"]
    for folder, level in zip(homes, (0.5, 0.5, 0.25), strict=True):
        with Lake(LakeConfig(home=folder, memory_limit="500MB"), TABLES).write("test") as con:
            con.execute(
                "insert into features.hedonic_index by name select 's1' as sale_id, 'apes' as collection,"
                " $1::double as a_mean",
                [level],
            )
    command = [sys.executable, "-m", "benchmarks.same_estimates"]
    same, different = (
        subprocess.run([*command, str(homes[0]), str(other)], capture_output=True, text=True, check=False)
        for other in homes[1:]
    )
    assert (same.returncode, different.returncode) == (0, 1), different.stderr
    assert [line.split()[-1] for line in same.stdout.splitlines()] == ["same"] * 7
    assert "1 only in A, 1 only in B: a_mean" in different.stdout
