"""The files of runs: a copied one is as Dagster makes it, holds its own run's events only, and none stays open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from orchestration.home import open_instance, prepare_home
from orchestration.settings import load_settings


@dg.op
def nothing() -> None:
    pass


@dg.job
def a_job() -> None:
    nothing()


def tables(file: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as con:
        found: list[tuple[str, ...]] = con.execute(
            "select type, name, tbl_name, sql from sqlite_master order by 1, 2"
        ).fetchall()
        return [*found, *con.execute("select * from alembic_version").fetchall()]


def test_each_run_has_a_file_with_the_same_tables_and_its_own_events(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    prepare_home(settings)
    with open_instance(settings) as instance:
        runs = [a_job.execute_in_process(instance=instance).run_id for _ in range(3)]
        for run in runs:
            found = instance.all_logs(run)
            assert {event.run_id for event in found} == {run}
            assert [e.dagster_event_type for e in found].count(dg.DagsterEventType.RUN_SUCCESS) == 1
    folder = settings.home_path / "dagster" / "history" / "runs"
    assert {path.stem for path in folder.glob("*.db")} == {"index", *runs}
    assert (
        tables(folder / f"{runs[0]}.db")
        == tables(folder / f"{runs[1]}.db")
        == tables(folder / f"{runs[2]}.db")
    )
    assert [path.name for path in folder.glob(".*")] == []


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="Only Linux lists the open files of a process there."
)
def test_a_closed_history_leaves_no_file_open(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    prepare_home(settings)
    for _ in range(3):
        with open_instance(settings) as instance:
            a_job.execute_in_process(instance=instance)
            assert open_files(tmp_path) > 0
            instance.get_runs(limit=1)
    assert open_files(tmp_path) == 0


def open_files(folder: Path) -> int:
    there = list(Path("/proc/self/fd").iterdir())
    return sum(str(file.readlink()).startswith(str(folder)) for file in there if file.is_symlink())
