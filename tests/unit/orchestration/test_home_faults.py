"""Damaged, missing and refused files of a home: one sentence with the way out, from the command as a user types it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.damage import overwrite
from lake.backup_record import LastBackup, remember
from lake.connection import Lake
from lake.errors import CatalogLostError
from orchestration.errors import HomeError
from orchestration.home import LONGEST_PATH, open_instance, prepare_home
from orchestration.home_faults import DATABASES, damaged_databases, fault_of
from orchestration.reliability.doctor import examine
from orchestration.reliability.scratch import scratch_settings
from orchestration.resources import Assay, open_lake
from tests.command import assay


@pytest.fixture(scope="module")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = scratch_settings(tmp_path_factory.mktemp("small") / "home", threads=1)
    prepare_home(settings)
    with open_instance(settings) as instance:
        instance.get_runs(limit=1)
    open_lake(settings).snapshot_id()
    return settings.home_path


@pytest.fixture
def home(small_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_home, tmp_path / "home"))


def refused(*arguments: str) -> str:
    done = assay(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize("text", ["", '{"source": "sim', "[1, 2]", "\0\0\0"])
def test_a_damaged_market_file(home: Path, text: str) -> None:
    (home / "market.json").write_text(text)
    for command in ("status", "doctor", "watchdog"):
        found = refused(command, "--home", str(home))
        assert "Expected" in found
        assert "docs/runbook/home-damaged.md" in found


def test_a_damaged_catalog_and_a_missing_one_name_the_newest_backup_and_change_nothing(home: Path) -> None:
    remember(home, LastBackup("/disk/back ups", "000007", "2026-11-29T16:00:00+00:00", 41))
    catalog = home / "lake" / "catalog.sqlite"
    overwrite(catalog)
    damaged = catalog.read_bytes()
    found = refused("status", "--home", str(home))
    assert "found a damaged file" in found
    assert "/disk/back ups of 2026-11-29 16:00 UTC with snapshot 41" in found
    assert f"assay restore '/disk/back ups' --to {home}" in found
    assert catalog.read_bytes() == damaged
    catalog.unlink()
    assert "found none; its files are still in" in refused("status", "--home", str(home))
    assert not catalog.exists()
    (home / "backup.json").unlink()
    with pytest.raises(CatalogLostError, match="No backup of it is known here"):
        Lake(scratch_settings(home).lake_config()).snapshot_id()


def test_each_damaged_database_is_named_with_what_to_do(home: Path) -> None:
    there = [one for one in DATABASES if (home / one.path).exists()]
    assert len(there) >= 4
    assert damaged_databases(home) == []
    for one in there:
        overwrite(home / one.path)
    found = damaged_databases(home)
    assert [fault.path for fault in found] == [one.path for one in there]
    assert all("Expected" in fault.problem and fault.way_out for fault in found)


def test_the_damaged_history_of_dagster_is_a_sentence_and_its_way_out_works(home: Path) -> None:
    overwrite(home / "dagster" / "history" / "runs.db")
    settings = scratch_settings(home)
    prepare_home(settings)
    with pytest.raises(Exception) as raised, open_instance(settings) as instance:  # noqa: PT011 - whatever it raises
        instance.get_runs(limit=1)
    fault = fault_of(raised.value, home)
    assert fault is not None
    assert "Dagster's history of runs" in str(fault)
    shutil.move(home / "dagster", home / "dagster.damaged")
    prepare_home(settings)
    with open_instance(settings) as instance:
        assert instance.get_runs(limit=1) == []


def test_an_error_of_a_whole_home_is_shown_as_it_is(home: Path) -> None:
    assert fault_of(ValueError("a bug"), home) is None
    assert fault_of(sqlite3.OperationalError("no such table: numbers"), home) is None
    assert fault_of(sqlite3.DatabaseError("malformed"), home / "nothing") is None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("step marts failed: IO Error: Could not write: No space left on device"),
    ],
)
def test_a_full_disk_is_called_one_however_it_is_reported(home: Path, error: Exception) -> None:
    for one in (error, _caused(error)):
        fault = fault_of(one, home)
        assert fault is not None
        assert "Expected room on the disk" in fault.problem
        assert "docs/runbook/disk-full.md" in fault.way_out


def _caused(error: Exception) -> Exception:
    outer = RuntimeError("outer")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a\nb", "a[b]", "a*b"])
def test_a_path_that_addresses_of_databases_give_another_meaning_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(HomeError, match="Expected the path of a home without"):
        prepare_home(scratch_settings(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_the_longest_path_works_and_a_longer_one_is_refused(small_home: Path, tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=f"at most {LONGEST_PATH} bytes"):
        prepare_home(scratch_settings(tmp_path / ("y" * 200) / ("y" * 200) / ("y" * 200)))
    longest = tmp_path / ("y" * 100)
    longest /= "z" * min(250, LONGEST_PATH - len(os.fsencode(longest)) - 1)
    assert len(os.fsencode(longest)) >= LONGEST_PATH - 60
    shutil.copytree(small_home, longest)
    settings = scratch_settings(longest)
    prepare_home(settings)
    with open_instance(settings) as instance:
        assert instance.get_runs(limit=1) == []
    assert open_lake(settings).snapshot_id() > 0


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "a#b", "ünï"])
def test_other_paths_work(small_home: Path, tmp_path: Path, name: str) -> None:
    home = shutil.copytree(small_home, tmp_path / name)
    done = assay("status", "--home", str(home))
    assert done.returncode == 0, done.stderr


def test_without_the_variable_home_extensions_are_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert Lake(scratch_settings(home).lake_config()).snapshot_id() > 0


def test_an_older_assay_refuses_the_lake_of_a_newer_one_in_a_sentence(home: Path) -> None:
    lake = Lake(scratch_settings(home).lake_config())
    with lake.write("as a newer version") as con:
        con.execute("update ops.lake_version set version = 999")
    assert "found version 999, which a newer Assay has written" in refused("status", "--home", str(home))


def test_a_home_on_a_disk_that_cannot_be_written_is_a_sentence_and_stays_as_it_is(home: Path) -> None:
    program = f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"
    if subprocess.run(["unshare", "-m", "sh", "-c", program], capture_output=True, check=False).returncode:
        pytest.skip("This user may not mount a folder read-only: run as root, or with CAP_SYS_ADMIN.")
    # A process of its own: the mount is seen by it alone.
    command = Path(sys.executable).with_name("assay")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{program} && {command} status --home {home}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"Expected that this user may write to {home}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_was_moved_is_read_and_written_where_it_is(home: Path) -> None:
    before = Lake(scratch_settings(home).lake_config()).snapshot_id()
    moved = Path(shutil.move(home, home.with_name("moved")))
    settings = scratch_settings(moved)
    prepare_home(settings)
    with open_instance(settings) as instance:
        assert instance.get_runs(limit=1) == []
    with open_lake(settings).write("after the move") as con:
        con.execute("insert into ops.set_aside (collection) select 'c' || range from range(2000)")
    assert open_lake(settings).snapshot_id() > before
    done = assay("status", "--home", str(moved))
    assert done.returncode == 0, done.stderr
    assert not home.exists()


def test_a_clock_that_was_set_back_is_named_by_the_doctor_and_stops_no_writer(home: Path) -> None:
    with closing(sqlite3.connect(home / "lake" / "catalog.sqlite")) as con:
        con.execute("update ducklake_snapshot set snapshot_time = '2099-01-01 00:00:00+00'")
        con.commit()
    settings = scratch_settings(home)
    before = open_lake(settings).snapshot_id()
    with open_lake(settings).write("at an earlier time") as con:
        con.execute("delete from ops.set_aside")
        con.execute("insert into ops.set_aside (collection) values ('apes')")
    assert open_lake(settings).snapshot_id() > before
    parts = {part.part: part for part in examine(Assay(settings))}
    assert "the newest snapshot was made 2099-01-01" in parts["clock"].problems[0]
    assert "Set the clock" in parts["clock"].advice
