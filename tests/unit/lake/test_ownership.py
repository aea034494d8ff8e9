"""Whose files these are: one data path, one lake, one catalog; and what old, copied and moved lakes become."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake.catalog import read_sqlite_catalog
from lake.config import LakeConfig
from lake.dbt import dbt_environment
from lake.errors import DataPathError
from lake.maintenance import maintain
from lake.ownership import MARKER, data_folder
from lake.storage import relative_path
from tests.unit.lake.conftest import old_lake, opened, rows, written

pytestmark = pytest.mark.slow


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("data_path", "made_at", "folder"),
    [
        (None, None, "/h/lake/data/"),
        (None, "/elsewhere/assay-lake/", "/h/lake/data/"),
        ("/exports", None, "/exports/assay-lake/"),
        ("/exports/", "/before/the/move/assay-lake/", "/exports/assay-lake/"),
        ("/exports", "/exports/", "/exports/"),
        ("/exports", "/before/the/move/lake/data/", "/exports/"),
        ("s3://bucket/prefix", None, "s3://bucket/prefix/assay-lake/"),
        ("s3://bucket/prefix/", "s3://old/assay-lake/", "s3://bucket/prefix/assay-lake/"),
        ("s3://bucket/prefix", "s3://bucket/prefix/", "s3://bucket/prefix/"),
    ],
)
def test_one_function_decides_the_folder(data_path: str | None, made_at: str | None, folder: str) -> None:
    assert data_folder(LakeConfig(Path("/h"), data_path=data_path), made_at) == folder


@pytest.mark.parametrize(
    ("folder", "path", "inside"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix/raw/t/x.parquet", "raw/t/x.parquet"),
        ("s3://bucket/prefix/", "s3://bucket/prefix_of_another/x.parquet", None),
        ("s3://bucket/prefix/", "s3://bucket/prefix/../x.parquet", None),
        ("s3://bucket/prefix/", "s3://bucket/prefix//x.parquet", None),
        ("s3://bucket/prefix/", "s3:///bucket/prefix/x.parquet", None),
        ("/data/", "/data/../etc/x.parquet", None),
        ("/data/", "/database/x.parquet", None),
    ],
)
def test_relative_path_of_a_file_in_a_folder(folder: str, path: str, inside: str | None) -> None:
    assert relative_path(folder, path) == inside


def test_a_data_path_is_the_same_from_every_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = written(tmp_path / "home", Path("exports"))
    assert lake.data_folder == f"{tmp_path}/exports/assay-lake/"
    assert dbt_environment(lake)["ASSAY_LAKE_DATA_PATH"] == lake.data_folder
    with pytest.raises(DataPathError, match="leave it out"):
        LakeConfig(tmp_path, data_path=" ")


def test_a_new_lake_keeps_its_files_in_a_marked_folder_without_secrets(tmp_path: Path) -> None:
    lake = written(tmp_path / "home", tmp_path / "exports")
    marker = json.loads((tmp_path / "exports" / "assay-lake" / MARKER).read_text())
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {"assay-lake"}
    assert marker["catalog"] == f"sqlite:{lake.config.catalog_path}"
    catalog = read_sqlite_catalog(lake.config.catalog_path)
    assert catalog is not None
    assert marker["lake_id"] == catalog.lake_id


def test_a_second_home_on_one_data_path_is_refused_and_the_first_untouched(tmp_path: Path) -> None:
    first = written(tmp_path / "first", tmp_path / "exports")
    before = content(tmp_path / "exports")
    second = opened(tmp_path / "second", tmp_path / "exports")
    for act in (second.snapshot_id, lambda: maintain(second, keep_snapshots=[], retention_days=0)):
        with pytest.raises(DataPathError) as refused:
            act()
        message = str(refused.value)
        assert str(first.config.catalog_path) in message
        assert "ASSAY_DATA_PATH" in message
        assert "\n" not in message
    assert content(tmp_path / "exports") == before
    assert not second.config.catalog_path.exists()
    assert rows(opened(tmp_path / "first", tmp_path / "exports")) == 100


def test_a_lake_that_was_made_elsewhere_is_refused_where_another_is(tmp_path: Path) -> None:
    written(tmp_path / "first", tmp_path / "exports")
    written(tmp_path / "second")
    with pytest.raises(DataPathError, match="belongs to another lake"):
        rows(opened(tmp_path / "second", tmp_path / "exports"))
    assert rows(opened(tmp_path / "second")) == 100


def test_two_homes_that_start_at_once_on_one_data_path_never_share_it(tmp_path: Path) -> None:
    def begin(name: str) -> int | DataPathError:
        try:
            return rows(written(tmp_path / name, tmp_path / "exports"))
        except DataPathError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(begin, ["one", "two"]))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DataPathError", "int"]


def test_a_copied_home_is_refused_on_the_data_path_of_its_original(tmp_path: Path) -> None:
    written(tmp_path / "home", tmp_path / "exports")
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    before = content(tmp_path / "exports")
    with pytest.raises(DataPathError, match="is a copy: expected one catalog") as refused:
        rows(opened(tmp_path / "copy", tmp_path / "exports"))
    assert "\n" not in str(refused.value)
    assert content(tmp_path / "exports") == before
    assert rows(opened(tmp_path / "home", tmp_path / "exports")) == 100
    # The way out that the sentence names.
    shutil.copytree(tmp_path / "exports", tmp_path / "exports of the copy")
    copy = opened(tmp_path / "copy", tmp_path / "exports of the copy")
    with copy.write("empty") as con:
        con.execute("drop table raw.numbers")
    maintain(copy, keep_snapshots=[], retention_days=0)
    assert content(tmp_path / "exports") == before
    assert rows(opened(tmp_path / "home", tmp_path / "exports")) == 100


def test_a_copied_home_with_its_files_inside_is_a_backup_that_opens(tmp_path: Path) -> None:
    written(tmp_path / "home")
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    assert rows(opened(tmp_path / "copy")) == 100
    assert rows(opened(tmp_path / "home")) == 100


@pytest.mark.parametrize("outside", [False, True])
def test_a_moved_home_finds_its_files(tmp_path: Path, outside: bool) -> None:
    data_path = tmp_path / "exports" if outside else None
    written(tmp_path / "here", data_path)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = opened(tmp_path / "there", data_path)
    assert rows(moved) == 100
    marker = json.loads((Path(moved.data_folder) / MARKER).read_text())
    assert marker["catalog"] == f"sqlite:{moved.config.catalog_path}"
    # Another home may begin where the first one was: its catalog there is not this lake's.
    written(tmp_path / "here")
    assert rows(opened(tmp_path / "there", data_path)) == 100


def test_a_home_moved_while_another_lake_took_its_address_opens(tmp_path: Path) -> None:
    written(tmp_path / "here", tmp_path / "exports")
    (tmp_path / "here").rename(tmp_path / "there")
    written(tmp_path / "here")
    assert rows(opened(tmp_path / "there", tmp_path / "exports")) == 100


def test_an_unreadable_catalog_at_the_old_address_may_still_be_in_use(tmp_path: Path) -> None:
    written(tmp_path / "here", tmp_path / "exports")
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "here" / "lake").mkdir(parents=True)
    (tmp_path / "here" / "lake" / "catalog.sqlite").write_bytes(b"not a catalog " * 1000)
    with pytest.raises(DataPathError, match="is a copy: expected one catalog"):
        rows(opened(tmp_path / "there", tmp_path / "exports"))


def test_files_moved_to_a_larger_disk_are_found_by_the_data_path(tmp_path: Path) -> None:
    written(tmp_path / "home")
    (tmp_path / "home" / "lake" / "data").rename(tmp_path / "large")
    with pytest.raises(DataPathError, match="found none of those that the catalog"):
        rows(opened(tmp_path / "home"))
    assert rows(opened(tmp_path / "home", tmp_path / "large")) == 100


def test_an_old_lake_stays_where_it_is_and_keeps_every_snapshot(tmp_path: Path) -> None:
    first = old_lake(tmp_path / "home", tmp_path / "exports")
    lake = opened(tmp_path / "home", tmp_path / "exports")
    assert (rows(lake), rows(lake, first)) == (100, 50)
    assert (tmp_path / "exports" / MARKER).exists()
    assert dbt_environment(lake)["ASSAY_LAKE_DATA_PATH"] == f"{tmp_path}/exports/"
    with lake.write("append") as con:
        con.execute("insert into raw.numbers select range from range(100, 150)")
    report = maintain(lake, keep_snapshots=[first], retention_days=0)
    assert report.files_not_ours == 0
    assert (rows(lake), rows(lake, first)) == (150, 50)
    with pytest.raises(DataPathError, match="belongs to another lake"):
        opened(tmp_path / "second", tmp_path / "exports").snapshot_id()


def test_an_old_lake_in_its_home_stays_where_it_is(tmp_path: Path) -> None:
    first = old_lake(tmp_path / "home", tmp_path / "home" / "lake" / "data")
    lake = opened(tmp_path / "home")
    assert (rows(lake), rows(lake, first)) == (100, 50)
    assert (tmp_path / "home" / "lake" / "data" / MARKER).exists()
