"""The registry's SQLite file: a killed start leaves nothing that the next one stumbles over."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ml.registry import store
from ml.registry.artifacts import ArtifactStore
from ml.registry.champions import ChampionRegistry
from ml.registry.store import prepare

pytestmark = pytest.mark.slow

# Ends without any cleanup at the n-th statement that touches a table which a migration is copying.
ENDS_ABRUPTLY = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from ml.registry import store

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    global left
    if "_alembic_tmp" in statement:
        left -= 1
        if left == 0:
            os._exit(9)

store.prepare(sys.argv[1], Path(sys.argv[3]))
"""


@pytest.mark.parametrize("statement", [1, 4, 30])
def test_a_start_killed_between_migrations_leaves_no_half_made_store(tmp_path, statement):
    url, empty = f"sqlite:///{tmp_path}/mlflow.sqlite", tmp_path / "empty.sqlite"
    command = [sys.executable, "-c", ENDS_ABRUPTLY, url, str(statement), str(empty)]
    assert subprocess.run(command, check=False).returncode == 9
    assert not (tmp_path / "mlflow.sqlite").exists()
    assert not empty.exists()
    assert ChampionRegistry(url, ArtifactStore.in_folder(tmp_path / "artifacts")).champions() == {}


def test_a_store_is_the_same_made_by_migrations_or_copied(tmp_path):
    empty = tmp_path / "empty.sqlite"
    for name in ("first", "second"):
        prepare(f"sqlite:///{tmp_path}/{name}.sqlite", empty)
        assert empty.exists()
    assert dump(tmp_path / "first.sqlite") == dump(tmp_path / "second.sqlite")
    for name in ("first", "second"):
        client = ChampionRegistry(
            f"sqlite:///{tmp_path}/{name}.sqlite", ArtifactStore.in_folder(tmp_path / "a")
        ).client
        client.create_registered_model(f"assay.{name}")
        assert [model.name for model in client.search_registered_models()] == [f"assay.{name}"]


@pytest.mark.parametrize("unusable", ["a file/empty.sqlite", "a folder"])
def test_where_nothing_can_be_kept_or_read_each_store_is_made_by_migrations(tmp_path, unusable):
    (tmp_path / "a file").write_text("")
    (tmp_path / "a folder").mkdir()
    prepare(f"sqlite:///{tmp_path}/mlflow.sqlite", tmp_path / unusable)
    url = f"sqlite:///{tmp_path}/mlflow.sqlite"
    assert ChampionRegistry(url, ArtifactStore.in_folder(tmp_path / "artifacts")).champions() == {}
    assert not list(tmp_path.glob("*.tmp"))


def test_the_kept_store_can_be_read_by_all_who_can_read_the_code_and_a_home_by_its_owner_only(tmp_path):
    empty = tmp_path / "empty.sqlite"
    before = os.umask(0o077)  # as `prepare_home` sets it
    try:
        prepare(f"sqlite:///{tmp_path}/mlflow.sqlite", empty)
    finally:
        os.umask(before)
    assert stat.S_IMODE(empty.stat().st_mode) == stat.S_IMODE(Path(store.__file__).stat().st_mode)
    assert stat.S_IMODE((tmp_path / "mlflow.sqlite").stat().st_mode) == 0o600


def test_two_starts_that_find_no_kept_store_both_work_and_keep_a_whole_one(tmp_path):
    empty = tmp_path / "empty.sqlite"
    prepares = (
        "import sys; from pathlib import Path; from ml.registry.store import prepare; "
        "prepare(sys.argv[1], Path(sys.argv[2]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", prepares, f"sqlite:///{tmp_path}/{name}.sqlite", str(empty)])
        for name in ("first", "second")
    ]
    assert [process.wait() for process in started] == [0, 0]
    # MLflow's indexes and constraints come in another order each time: statements are compared by their letters.
    kept, first, second = (
        sorted(sorted(statement) for statement in dump(tmp_path / f"{name}.sqlite"))
        for name in ("empty", "first", "second")
    )
    assert kept == first == second
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".sqlite"} <= {
        f"{name}.sqlite-{end}" for name in ("first", "second") for end in ("wal", "shm")
    }


def dump(database):
    with closing(sqlite3.connect(database)) as con:
        return list(con.iterdump())


def test_two_starts_at_once_share_one_store(tmp_path):
    url = f"sqlite:///{tmp_path}/mlflow.sqlite"
    registers = (
        "import os, sys; from ml.registry.champions import ChampionRegistry; "
        "ChampionRegistry(sys.argv[1], None).client.create_registered_model(sys.argv[2])"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", registers, url, name]) for name in ("assay.a", "assay.b")
    ]
    assert [process.wait() for process in started] == [0, 0]
    client = ChampionRegistry(url, ArtifactStore.in_folder(tmp_path / "artifacts")).client
    assert {model.name for model in client.search_registered_models()} == {"assay.a", "assay.b"}
    assert not list(tmp_path.glob(".mlflow*"))


AT_ONCE = """
import sys, time
from pathlib import Path
from ml.registry import store

import mlflow, sqlalchemy
folder = Path(sys.argv[1])
(folder / f"ready-{sys.argv[2]}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
for number in range(int(sys.argv[3])):
    store.prepare(f"sqlite:///{folder}/{number}/mlflow.sqlite", folder / "empty.sqlite")
"""


SQLITE_LOCKS = 0x40000000, 512
"""Where SQLite locks a file: first byte and length."""


def test_processes_that_find_a_damaged_store_at_once_move_it_aside_once(tmp_path):
    """Both wait for a lock and look again each 0.1 s: one has made a good store when the other reads the old file."""
    processes, stores, damaged = 2, 3, b"SQLite format 3\0" + b"\xff" * 5000
    prepare(f"sqlite:///{tmp_path}/mlflow.sqlite", tmp_path / "empty.sqlite")
    held = []
    for number in range(stores):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "mlflow.sqlite").write_bytes(damaged)
        held.append((tmp_path / str(number) / "mlflow.sqlite").open("r+b"))
        fcntl.lockf(held[-1], fcntl.LOCK_EX, SQLITE_LOCKS[1], SQLITE_LOCKS[0])
    started = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, str(tmp_path), str(number), str(stores)])
        for number in range(processes)
    ]
    while len(list(tmp_path.glob("ready-*"))) < processes:
        assert all(process.poll() is None for process in started)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for file in held:
        time.sleep(1)
        file.close()
    assert [process.wait() for process in started] == [0] * processes
    for number in range(stores):
        folder = tmp_path / str(number)
        (aside,) = folder.glob("mlflow.sqlite.damaged-*Z")
        # Their sizes first: pytest takes minutes to show how two large files differ.
        assert aside.stat().st_size == len(damaged)
        assert aside.read_bytes() == damaged
        assert dump(folder / "mlflow.sqlite") == dump(tmp_path / "mlflow.sqlite")
