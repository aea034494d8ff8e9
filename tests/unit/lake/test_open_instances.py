"""Readers of the newest state share an instance, and so do writers: what they see, and what they must not share."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.open_instances import KEPT_OPEN, forget_all
from tests.unit.lake.conftest import opened, rows, written

pytestmark = pytest.mark.slow


def test_a_reader_sees_one_state_and_a_following_one_what_another_process_commits(tmp_path: Path) -> None:
    lake = written(tmp_path)
    other = (
        "import sys; from pathlib import Path; from lake.config import LakeConfig; from lake.connection import Lake\n"
        "with Lake(LakeConfig(Path(sys.argv[1]))).write('other') as con:\n"
        "    con.execute('insert into raw.numbers values (1000)')\n"
        "    con.execute('create table raw.more as select 7 as n')\n"
    )
    with lake.read(following=True) as con, lake.read() as steady:
        assert rows_of(con) == rows_of(steady) == 100
        subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True)
        assert (rows_of(con), rows_of(steady)) == (101, 100)
        assert con.execute("select n from raw.more").fetchone() == (7,)
        with pytest.raises(duckdb.CatalogException):
            steady.execute("select n from raw.more")
    assert rows(lake) == 101


def rows_of(con: duckdb.DuckDBPyConnection) -> int:
    return con.execute("select count(*)::integer from raw.numbers").fetchall()[0][0]


def test_a_lake_that_was_removed_and_made_again_is_read_anew(tmp_path: Path) -> None:
    lake = written(tmp_path / "home")
    assert rows(lake) == 100
    shutil.rmtree(tmp_path / "home")
    with opened(tmp_path / "home").write("create") as con:
        con.execute("create table raw.numbers as select 1 as n")
    assert rows(lake) == 1
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(FileNotFoundError):
        rows(lake)


def test_temporary_tables_and_frames_belong_to_one_reader(tmp_path: Path) -> None:
    lake = written(tmp_path)
    with lake.read() as one, lake.read() as other:
        one.execute("create temporary table scratch as select 1 as n")
        one.register("frame", one.execute("select 2 as n").to_arrow_table())
        for name in ("scratch", "frame"):
            with pytest.raises(duckdb.CatalogException):
                other.execute(f"from {name}")
        other.execute("create temporary table scratch as select 3 as n")
        assert one.execute("select n from scratch").fetchone() == (1,)
    with lake.read() as con, pytest.raises(duckdb.CatalogException):
        con.execute("from scratch")


def test_a_reader_in_use_outlives_its_instance(tmp_path: Path) -> None:
    lakes = [written(tmp_path / str(number)) for number in range(KEPT_OPEN + 2)]
    with lakes[0].read() as con:
        assert [rows(lake) for lake in lakes] == [100] * len(lakes)
        forget_all()
        assert con.execute("select count(*) from raw.numbers").fetchone() == (100,)
    assert rows(lakes[0]) == 100


def test_readers_of_several_threads_get_a_connection_each(tmp_path: Path) -> None:
    lake = written(tmp_path)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(rows(lake))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 8


def test_each_reader_has_the_settings_of_its_lake(tmp_path: Path) -> None:
    written(tmp_path)
    for threads in (1, 2):
        lake = Lake(LakeConfig(tmp_path, memory_limit="500MB", threads=threads))
        for _ in range(2):
            with lake.read() as con:
                assert con.execute("select current_setting('threads')").fetchone() == (threads,)
                assert con.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
                con.execute("set TimeZone = 'Asia/Seoul'")


def test_a_write_leaves_nothing_to_the_next_but_what_it_committed(tmp_path: Path) -> None:
    lake = written(tmp_path)
    with lake.write("first") as con:
        con.execute("create temporary table scratch as select 1 as n")
        con.execute("insert into raw.numbers select n from scratch")
    with pytest.raises(duckdb.CatalogException), lake.write("fails") as con:
        con.execute("insert into raw.numbers values (700); insert into raw.nothing values (1)")
    with pytest.raises(duckdb.CatalogException), lake.write("next") as con:
        con.execute("from scratch")
    with lake.write("another process has written since") as con:
        other = (
            "import sys; from pathlib import Path; from lake.config import LakeConfig\n"
            "from lake.connection import Lake\n"
            "try: Lake(LakeConfig(Path(sys.argv[1]), lock_timeout_s=0.1)).write('other').__enter__()\n"
            "except Exception as error: print(type(error).__name__)\n"
        )
        done = subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True, capture_output=True)
        assert b"LakeLockedError" in done.stdout
        assert con.execute("select count(*) from raw.numbers").fetchone() == (101,)


def test_a_writer_sees_what_another_process_committed(tmp_path: Path) -> None:
    lake = written(tmp_path)
    with lake.write("opens the instance") as con:
        con.execute("insert into raw.numbers values (500)")
    other = (
        "import sys; from pathlib import Path; from lake.config import LakeConfig; from lake.connection import Lake\n"
        "with Lake(LakeConfig(Path(sys.argv[1]))).write('other') as con:\n"
        "    con.execute('alter table raw.numbers add column m integer')\n"
        "    con.execute('insert into raw.numbers values (1000, 2)')\n"
    )
    subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True)
    with lake.write("after it") as con:
        con.execute("insert into raw.numbers values (501, 4)")
        assert con.execute("select count(*), sum(m) from raw.numbers").fetchone() == (103, 6)
    assert rows(lake) == 103
