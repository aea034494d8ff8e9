"""What happens to a catalog when one process has two SQLite libraries: the control experiment of ADR 66.

    python -m benchmarks.two_libraries

A child process inserts into a lake through an instance of DuckDB that loads its extensions by name, while two threads
open, read and close the lake through `lake.extensions.open_database`; a second process inserts, too. Once the first
instance gets copies of the wheels' files, once links to them. Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.machine import describe_machine
from lake.extensions import extension_folder, open_database

NAMES = ("ducklake", "sqlite_scanner")
SECONDS = 40


def main() -> None:
    """Both ways, one after the other."""
    found = {way: measure(way) for way in ("copy", "links")}
    print(json.dumps({"seconds": SECONDS, **found, "machine": describe_machine()}, indent=2))


def measure(way: str) -> dict[str, Any]:
    """How the child process has ended, and what it has printed."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = [sys.executable, "-m", "benchmarks.two_libraries", way, scratch]
        with subprocess.Popen([*arguments[:3], "other", scratch], stderr=subprocess.DEVNULL) as other:
            done = subprocess.run(arguments, capture_output=True, text=True, check=False)
            other.terminate()
        seen = json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-3:]
        return {"exit_code": done.returncode, "seen": seen}


def work(way: str, scratch: Path) -> None:
    """The child process: inserts, and two threads that read."""
    folder = extension_folder(NAMES, scratch)
    if way == "copy":
        shutil.copytree(folder, scratch / "copied")
        folder = scratch / "copied"
    con = duckdb.connect(
        config={"extension_directory": str(folder), "allow_unsigned_extensions": True, "threads": 1}
    )
    for name in NAMES:
        con.load_extension(name)
    con.execute(_attach(scratch))
    con.execute("create table if not exists lake.numbers (n integer)")
    errors: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    readers = [threading.Thread(target=_read, args=(scratch, until, errors)) for _ in range(2)]
    for reader in readers:
        reader.start()
    inserts = _insert(con, until, errors)
    for reader in readers:
        reader.join()
    print(json.dumps({"inserts": inserts, "errors": errors}))


def _attach(scratch: Path) -> str:
    options = f"data_path '{scratch}/data', meta_journal_mode 'WAL', meta_busy_timeout 10000"
    return f"attach 'ducklake:sqlite:{scratch}/catalog.sqlite' as lake ({options})"


def _insert(con: duckdb.DuckDBPyConnection, until: float, errors: Counter[str]) -> int:
    inserts = 0
    while time.monotonic() < until:
        try:
            con.execute("insert into lake.numbers values (1)")
            inserts += 1
        except duckdb.Error as error:
            errors[str(error).splitlines()[-1]] += 1
    return inserts


def _read(scratch: Path, until: float, errors: Counter[str]) -> None:
    while time.monotonic() < until:
        try:
            with open_database(NAMES, {"threads": 1}) as con:
                con.execute(_attach(scratch))
                con.execute("select count(*) from lake.numbers").fetchall()
        except duckdb.Error as error:
            errors[str(error).splitlines()[-1]] += 1


def insert_beside(scratch: Path) -> None:
    """The second process; it is ended by the caller."""
    while not (scratch / "catalog.sqlite").exists():
        time.sleep(0.1)
    while os.getppid() != 1:
        with open_database(NAMES, {"threads": 1}) as con:
            try:
                con.execute(_attach(scratch))
                con.execute("insert into lake.numbers values (2)")
            except duckdb.Error:  # it waits for its turn in vain, or the table is not there yet
                time.sleep(0.01)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "other":
        insert_beside(Path(sys.argv[2]))
    else:
        work(sys.argv[1], Path(sys.argv[2]))
