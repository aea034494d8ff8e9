"""What maintenance deletes, and above all what it does not."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.cleanup import remove_unreferenced_files, why_kept
from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import DataPathError, UnsafeCleanupError
from lake.maintenance import maintain
from lake.ownership import MARKER
from tests.unit.lake.conftest import DAY_S, foreign_file, old_lake, our_name, rows

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def written_lake(tmp_path: Path, data_path: str | None = None) -> Lake:
    lake = Lake(LakeConfig(tmp_path / "home", data_path=data_path, memory_limit="500MB"))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(100)")
    return lake


def marked_days_ago(lake: Lake, days: float) -> None:
    """As if the folder had been marked earlier, so that old orphans in it are this lake's."""
    path = Path(lake.data_folder) / MARKER
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    path.write_text(json.dumps({**json.loads(path.read_text()), "since": since}))


def test_files_of_others_next_to_and_below_the_data_path_are_kept(tmp_path: Path) -> None:
    data_path = tmp_path / "exports"
    precious = [
        foreign_file(data_path / name)
        for name in (
            "precious.parquet",
            "sales_2024.parquet",
            "mine/precious.parquet",
            f"raw/t/{our_name(9)}",
        )
    ]
    lake = written_lake(tmp_path, str(data_path))
    precious.append(foreign_file(tmp_path / "next_to_the_folder.parquet"))
    precious.append(foreign_file(Path(lake.data_folder) / "raw" / "numbers" / "inside.parquet"))
    report = maintain(lake, keep_snapshots=[], retention_days=0)
    assert [path for path in precious if not path.exists()] == []
    assert (report.files_not_ours, report.orphans_deleted) == (1, 0)
    assert "inside.parquet: not a name that this lake gives" in report.first_not_ours[0]
    assert rows(lake) == 100


def test_an_old_lake_among_files_of_others_deletes_none_of_them(tmp_path: Path) -> None:
    data_path = tmp_path / "exports"
    old_lake(tmp_path / "home", data_path)
    precious = [
        foreign_file(data_path / name)
        for name in (
            "precious.parquet",
            "mine/precious.parquet",
            f"raw/numbers/{our_name(9)}",
            f"x/y/{our_name(9)}",
        )
    ]
    lake = Lake(LakeConfig(tmp_path / "home", data_path=str(data_path)))
    report = maintain(lake, keep_snapshots=[], retention_days=0)
    assert [path for path in precious if not path.exists()] == []
    assert report.files_not_ours == 4
    assert any("before the folder was marked" in reason for reason in report.first_not_ours)
    assert rows(lake) == 100


def test_only_old_orphans_of_our_own_writes_are_deleted(tmp_path: Path) -> None:
    lake = written_lake(tmp_path)
    marked_days_ago(lake, 20)
    table = Path(lake.data_folder) / "raw" / "numbers"
    gone = [
        foreign_file(table / our_name(2), 2),
        foreign_file(table / our_name(2, "-delete"), 2),
        foreign_file(table / "bucket=1" / "year=2024" / our_name(3), 3),
        foreign_file(table.parent / "never_committed" / our_name(3), 3),
    ]
    stays = [
        foreign_file(table / our_name(0.5), 0.5),  # both young
        foreign_file(table / our_name(2), 0.5),  # old by name, young on disk
        foreign_file(table / our_name(30), 30),  # before the marker
        foreign_file(table / "sales_2024.parquet", 30),
        foreign_file(table / "copy" / "raw" / our_name(2), 2),  # where this lake writes nothing
        foreign_file(table.parent.parent / "not_a_schema" / "numbers" / our_name(2), 2),
    ]
    report = maintain(lake, keep_snapshots=[], retention_days=0)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    assert (report.orphans_deleted, report.files_not_ours) == (len(gone), len(stays))
    assert rows(lake) == 100


def test_nothing_behind_a_link_is_deleted(tmp_path: Path) -> None:
    lake = written_lake(tmp_path)
    marked_days_ago(lake, 20)
    outside = [
        foreign_file(tmp_path / "outside" / "numbers" / our_name(2), 2),
        foreign_file(tmp_path / "outside" / our_name(2), 2),
    ]
    raw = Path(lake.data_folder) / "raw"
    (raw / "linked").symlink_to(tmp_path / "outside" / "numbers")
    (raw / "numbers" / "n=1").symlink_to(tmp_path / "outside")
    (raw / "numbers" / our_name(2)).symlink_to(outside[0])
    maintain(lake, keep_snapshots=[], retention_days=0)
    assert [path for path in outside if not path.exists()] == []
    assert rows(lake) == 100


def test_expired_files_behind_a_link_are_kept_and_reported(tmp_path: Path) -> None:
    lake = written_lake(tmp_path)
    raw = Path(lake.data_folder) / "raw"
    raw.rename(tmp_path / "elsewhere")
    raw.symlink_to(tmp_path / "elsewhere")
    outside = list((tmp_path / "elsewhere").rglob("*.parquet"))
    with lake.write("replace") as con:
        con.execute("drop table raw.numbers")
    report = maintain(lake, keep_snapshots=[], retention_days=0)
    assert outside
    assert [path for path in outside if not path.exists()] == []
    assert report.files_deleted == 0
    assert "to be deleted, but outside of the folder" in report.first_not_ours[0]


def test_a_folder_that_is_itself_a_link_is_cleaned_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "big_disk").mkdir()
    (tmp_path / "exports").symlink_to(tmp_path / "big_disk")
    lake = written_lake(tmp_path, str(tmp_path / "exports"))
    with lake.write("replace") as con:
        con.execute("drop table raw.numbers")
    assert maintain(lake, keep_snapshots=[], retention_days=0).files_deleted == 1
    assert list((tmp_path / "big_disk").rglob("*.parquet")) == []


def test_a_referenced_file_offered_for_deletion_stops_the_clean_up(tmp_path: Path) -> None:
    """As in ducklake 815 and 1105, made by hand in DuckLake's own table."""
    lake = written_lake(tmp_path)
    (live,) = Path(lake.data_folder).rglob("*.parquet")
    with lake.maintaining("plant") as con:
        con.execute(
            "insert into __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion "
            "select data_file_id, 'raw/numbers/' || path, path_is_relative, now() "
            "from __ducklake_metadata_lake.ducklake_data_file"
        )
    with pytest.raises(UnsafeCleanupError, match=live.name):
        maintain(lake, keep_snapshots=[], retention_days=0)
    assert rows(lake) == 100


def test_maintenance_does_not_start_when_the_marker_is_another_lakes(tmp_path: Path) -> None:
    lake = written_lake(tmp_path)
    marker = Path(lake.data_folder) / MARKER
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "lake_id": "another"}))
    before = lake.snapshot_id()
    with pytest.raises(DataPathError, match="belongs to another lake"):
        maintain(lake, keep_snapshots=[], retention_days=0)
    assert lake.snapshot_id() == before


def test_a_stopped_clean_up_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = written_lake(tmp_path)
    marked_days_ago(lake, 20)
    table = Path(lake.data_folder) / "raw" / "numbers"
    orphans = [foreign_file(table / our_name(age), age) for age in (4, 3, 2)]
    unlink, calls = Path.unlink, []

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".parquet":
            calls.append(path)
            if len(calls) == 2:
                raise KeyboardInterrupt
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        maintain(lake, keep_snapshots=[], retention_days=0)
    monkeypatch.undo()
    assert sum(path.exists() for path in orphans) == 2
    assert maintain(lake, keep_snapshots=[], retention_days=0).orphans_deleted == 2
    assert rows(lake) == 100


@given(
    folders=st.lists(
        st.sampled_from(["raw", "numbers", "mine", "k=1", "..", "assay-lake", "a b", ""]), max_size=4
    ),
    name=st.one_of(
        st.text(max_size=20),
        st.floats(-1, 60).map(lambda days: our_name(days)),
        st.just("ducklake-0f0f0f0f-0000-4000-8000-000000000000.parquet"),
    ),
)
def test_every_removed_file_has_our_name_our_place_and_our_age(folders: list[str], name: str) -> None:
    now = datetime.now(UTC)
    marked_at = now - timedelta(days=30)
    inside = "/".join([*folders, name])
    if why_kept(inside, {"raw"}, marked_at, now) is None:
        schema, table, *partitions = folders
        assert schema == "raw"
        assert "=" not in table or partitions == [] or all("=" in part for part in partitions)
        assert all("=" in part for part in partitions)
        assert name.startswith("ducklake-")
        drawn_ms = int(name.removeprefix("ducklake-").replace("-", "")[:12], 16)
        assert marked_at <= datetime.fromtimestamp(drawn_ms / 1000, UTC) <= now - timedelta(days=1)


def test_a_file_outside_of_the_folder_is_never_removed() -> None:
    assert why_kept(None, {"raw"}, NOW - timedelta(days=30), NOW) == "outside of the folder"


def test_two_lakes_that_shared_a_data_path_before_markers_do_not_delete_each_others_files(
    tmp_path: Path,
) -> None:
    data_path = tmp_path / "exports"
    old_lake(tmp_path / "home", data_path)
    of_the_first = set(data_path.rglob("*.parquet"))
    old_lake(tmp_path / "other", data_path)
    long_ago = time.time() - 9 * DAY_S
    files = set(data_path.rglob("*.parquet")) - of_the_first
    for path in files:
        os.utime(path, (long_ago, long_ago))
    lake = Lake(LakeConfig(tmp_path / "home", data_path=str(data_path)))
    report = maintain(lake, keep_snapshots=[lake.snapshot_id()], retention_days=30)
    assert [path for path in files if not path.exists()] == []
    assert report.files_not_ours == len(files) > 0
    other = Lake(LakeConfig(tmp_path / "other", data_path=str(data_path)))
    with pytest.raises(DataPathError, match="belongs to another lake"):
        rows(other)


def test_an_object_store_that_lists_paths_in_another_spelling_is_not_cleaned(tmp_path: Path) -> None:
    """DuckLake takes every live file for an orphan there: fsspec's memory store answers with another spelling."""
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")

    class StoredLake(Lake):
        def _connect(self) -> duckdb.DuckDBPyConnection:
            con = super()._connect()
            con.register_filesystem(store)
            return con

    prefix = f"memory://{tmp_path.name}/prefix"
    lake = StoredLake(LakeConfig(tmp_path / "home", data_path=prefix))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(100)")
    assert lake.data_folder == f"{prefix}/assay-lake/"
    store.pipe(f"{prefix}/precious.parquet", b"x")
    store.pipe(f"{prefix}/assay-lake/raw/numbers/{our_name(-1)}", b"x")
    before = store.find(prefix)
    assert f"/{tmp_path.name}/prefix/assay-lake/{MARKER}" in before
    report = maintain(lake, keep_snapshots=[lake.snapshot_id()], retention_days=30)
    assert store.find(prefix) == before
    assert (report.orphans_deleted, report.files_not_ours) == (0, 2)
    assert rows(lake) == 100
    second = StoredLake(LakeConfig(tmp_path / "second", data_path=prefix))
    with pytest.raises(DataPathError, match="belongs to another lake"):
        rows(second)


def test_remove_unreferenced_files_needs_nothing_but_a_connection_and_the_marker(tmp_path: Path) -> None:
    lake = written_lake(tmp_path)
    marker = lake.owned_folder()
    with lake.maintaining("clean") as con:
        done = remove_unreferenced_files(con, marker, lake.data_folder, datetime.now(UTC))
    assert (done.files_deleted, done.orphans_deleted, done.kept) == (0, 0, ())
