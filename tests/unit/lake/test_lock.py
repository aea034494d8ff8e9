"""Two writers at once, and a writer that is killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import ExtensionUnavailableError, LakeLockedError
from lake.extensions import load_extension

ROOT = Path(__file__).resolve().parents[3]

HOLD = """
import sys, time
from pathlib import Path
from lake.config import LakeConfig
from lake.connection import Lake
with Lake(LakeConfig(Path(sys.argv[1]))).write("ingest sales of May") as con:
    con.execute("create table if not exists raw.numbers (n bigint)")
    con.execute("insert into raw.numbers select range from range(100000)")
    print("holding", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start_holder(home: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "holding"
    return process


def test_the_second_writer_waits_and_names_the_holder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = start_holder(tmp_path, 1.5)
    with (
        caplog.at_level(logging.WARNING, logger="lake.lock"),
        Lake(LakeConfig(tmp_path)).write("append") as con,
    ):
        assert con.execute("select count(*) from raw.numbers").fetchone() == (100000,)
    assert holder.wait(10) == 0
    assert f"process {holder.pid}" in caplog.text
    assert "ingest sales of May" in caplog.text


def test_the_timeout_error_names_the_holder(tmp_path: Path) -> None:
    holder = start_holder(tmp_path, 30)
    try:
        with (
            pytest.raises(LakeLockedError, match=f"{holder.pid}.*ingest sales of May"),
            Lake(LakeConfig(tmp_path, lock_timeout_s=0.5)).writing("append"),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_writer_leaves_the_previous_snapshot_and_no_lock(tmp_path: Path) -> None:
    lake = Lake(LakeConfig(tmp_path, lock_timeout_s=10))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select 1::bigint as n")
    before = lake.snapshot_id()
    holder = start_holder(tmp_path, 30)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert lake.snapshot_id() == before
    with lake.write("go on") as con:
        con.execute("insert into raw.numbers values (2)")
        assert con.execute("select count(*) from raw.numbers").fetchone() == (2,)


def test_the_lock_is_reentrant_in_a_thread_and_exclusive_between_threads(tmp_path: Path) -> None:
    lake = Lake(LakeConfig(tmp_path))
    order: list[str] = []

    def other() -> None:
        with lake.write("from another thread"):
            order.append("other")

    with lake.writing("outer"):
        with lake.write("inner"):
            thread = threading.Thread(target=other)
            thread.start()
            time.sleep(0.3)
        order.append("outer")
    thread.join(10)
    assert order == ["outer", "other"]


def test_the_error_for_a_missing_extension_names_both_attempts() -> None:
    import duckdb

    with duckdb.connect() as con:
        con.execute("set custom_extension_repository = 'http://127.0.0.1:9'")
        with pytest.raises(ExtensionUnavailableError, match=r"(?s)From its wheel.*By INSTALL"):
            load_extension(con, "no_such_extension")
