"""A database that cannot be opened now is not taken for a damaged one."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from lake.sqlite_files import copy_databases, problems_of

KILLED = """
import os, signal, sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.execute("pragma cache_size = 5")
con.execute("begin")
con.execute("update numbers set n = n + 1")
os.kill(os.getpid(), signal.SIGKILL)
"""


def made(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as con:
        con.execute(
            "create table numbers as with recursive r(n) as"
            " (select 1 union all select n + 1 from r where n < 50000) select n, hex(randomblob(20)) from r"
        )
        con.commit()
    return path


def test_a_locked_database_and_one_of_a_killed_writer_are_whole(tmp_path: Path) -> None:
    locked, killed = made(tmp_path / "locked.db"), made(tmp_path / "killed.db")
    done = subprocess.run([sys.executable, "-c", KILLED, str(killed)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "killed.db-journal").stat().st_size > 0
    with closing(sqlite3.connect(locked, isolation_level=None)) as con:
        con.execute("begin exclusive")
        assert problems_of([locked, killed, tmp_path / "none.db"]) == [None, None, None]
        (why,) = copy_databases([(locked, tmp_path / "copy.db")])
        assert "locked" in str(why)


def test_damage_is_reported_by_file(tmp_path: Path) -> None:
    whole, cut, other = made(tmp_path / "whole.db"), made(tmp_path / "cut.db"), tmp_path / "other.db"
    cut.write_bytes(cut.read_bytes()[:20_000])
    other.write_bytes(b"no database " * 1000)
    found = problems_of([whole, cut, other])
    assert found[0] is None
    assert None not in found[1:]
