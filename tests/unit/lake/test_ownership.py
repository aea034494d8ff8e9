"""Whose files these are: one data path, one lake, one catalog; and what old, moved and half-made lakes become."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake import ownership, storage
from lake.catalog import read_sqlite_catalog
from lake.config import LakeConfig
from lake.connection import Lake
from lake.dbt import dbt_environment
from lake.errors import DataPathError
from lake.maintenance import maintain
from lake.ownership import MARKER, data_folder
from lake.storage import Storage, relative_path
from tests.unit.lake.conftest import old_lake

ROOT = Path(__file__).resolve().parents[3]


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
def test_what_lies_in_a_folder(folder: str, path: str, inside: str | None) -> None:
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


def test_two_homes_that_begin_at_once_on_one_data_path_never_share_it(tmp_path: Path) -> None:
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
def test_a_moved_home_takes_its_files_along(tmp_path: Path, outside: bool) -> None:
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


def test_what_cannot_be_read_at_the_old_address_may_still_be_in_use(tmp_path: Path) -> None:
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


STEPS = ("link", "replace", "unlink")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("before", [*STEPS, "nothing"])
def test_killed_at_any_step_the_next_start_goes_on(tmp_path: Path, old: bool, before: str) -> None:
    """A process that dies before each call that changes a file of the marker, and after the last."""
    if old:
        old_lake(tmp_path / "home", tmp_path / "exports")
        moved_marker = ""
    else:
        written(tmp_path / "here", tmp_path / "exports")
        (tmp_path / "here").rename(tmp_path / "home")  # so that the marker is rewritten
        moved_marker = "assay-lake"
    dying = (
        "import os, pathlib, sys\n"
        "from pathlib import Path\n"
        "from lake.config import LakeConfig\n"
        "from lake.connection import Lake\n"
        "step = sys.argv[3]\n"
        "def die(*_, **__): os._exit(9)\n"
        "if step == 'link': os.link = die\n"
        "elif step != 'nothing': setattr(pathlib.Path, step, die)\n"
        "Lake(LakeConfig(Path(sys.argv[1]), data_path=sys.argv[2])).data_folder\n"
        "os._exit(9)\n"
    )
    command = [sys.executable, "-c", dying, str(tmp_path / "home"), str(tmp_path / "exports"), before]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 9
    lake = opened(tmp_path / "home", tmp_path / "exports")
    assert rows(lake) == 100
    assert json.loads((tmp_path / "exports" / moved_marker / MARKER).read_text())["catalog"].endswith(
        str(lake.config.catalog_path)
    )
    maintain(lake, keep_snapshots=[], retention_days=0)
    assert rows(lake) == 100


def test_a_lake_killed_between_catalog_and_marker_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ownership.Storage, "create", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path / "home", tmp_path / "exports").snapshot_id()
    assert (tmp_path / "home" / "lake" / "catalog.sqlite").exists()
    monkeypatch.undo()
    assert rows(written(tmp_path / "home", tmp_path / "exports")) == 100


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_or_empty_marker_comes_back_where_the_files_are(tmp_path: Path, left: bytes | None) -> None:
    marker = Path(written(tmp_path / "home", tmp_path / "exports").data_folder) / MARKER
    before = json.loads(marker.read_text())
    marker.unlink()
    if left is not None:
        marker.write_bytes(left)
    assert rows(opened(tmp_path / "home", tmp_path / "exports")) == 100
    after = json.loads(marker.read_text())
    assert after["lake_id"] == before["lake_id"]
    assert after["since"] > before["since"]


def test_a_marker_that_is_none_is_not_overwritten(tmp_path: Path) -> None:
    marker = Path(written(tmp_path / "home", tmp_path / "exports").data_folder) / MARKER
    marker.write_text("my notes")
    with pytest.raises(DataPathError, match="my notes"):
        rows(opened(tmp_path / "home", tmp_path / "exports"))
    assert marker.read_text() == "my notes"


def test_a_data_path_that_is_not_mounted_is_refused_and_not_begun_anew(tmp_path: Path) -> None:
    written(tmp_path / "home", tmp_path / "exports")
    (tmp_path / "exports").rename(tmp_path / "unmounted")
    with pytest.raises(DataPathError, match="mount or move them there"):
        rows(opened(tmp_path / "home", tmp_path / "exports"))
    assert not (tmp_path / "exports").exists()


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_where_nothing_can_be_written_reading_goes_on_and_nothing_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old_lake(tmp_path / "home", tmp_path / "exports")
    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(storage.Storage, "_partial", staticmethod(read_only))
    lake = opened(tmp_path / "home", tmp_path / "exports")
    assert rows(lake) == 100
    assert "cannot be marked" in caplog.text
    with pytest.raises(DataPathError, match="make the folder writable"):
        maintain(lake, keep_snapshots=[], retention_days=0)
    monkeypatch.undo()
    maintain(lake, keep_snapshots=[], retention_days=0)
    assert rows(lake) == 100


def test_a_new_lake_says_that_its_data_path_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.Storage, "_partial", staticmethod(read_only))
    with pytest.raises(DataPathError, match="Read-only file system"):
        opened(tmp_path / "home", tmp_path / "exports").snapshot_id()


def test_a_marker_is_created_once_also_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(storage.os, "link", unsupported)
    folder = Storage(f"{tmp_path}/", lambda: pytest.fail("a folder needs no connection"))
    assert folder.create("marker", "first")
    assert not folder.create("marker", "second")
    assert folder.read("marker") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["marker"]
