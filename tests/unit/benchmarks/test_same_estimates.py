"""Two homes compared to the last bit."""

from __future__ import annotations

from pathlib import Path

from benchmarks.same_estimates import Difference, compare
from lake.config import LakeConfig
from lake.connection import Lake


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
