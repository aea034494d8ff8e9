"""SQLite files of a home, copied and checked while they are in use.

A process of its own does it: a second SQLite library in this one (DuckDB has its own) would drop the locks of the
first when it closes the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lake.errors import LakeError

HEADER = b"SQLite format 3\0"
"""What an SQLite file begins with."""

BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database; the copy has what is in them."""

_PROGRAM = """
import json, sqlite3, sys, time
from contextlib import closing
from pathlib import Path

WAIT_S = 5

def give_up(deadline):
    def progress(status, remaining, total):
        # Without this, a copy waits for the holder of a lock for ever.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")
    return progress

found = []
for source, target in json.load(sys.stdin):
    try:
        address = Path(source).absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as there:
            if target is None:
                seen = there.execute("pragma quick_check(1)").fetchone()[0]
            else:
                with closing(sqlite3.connect(target)) as copy:
                    there.backup(copy, progress=give_up(time.monotonic() + WAIT_S))
                    copy.execute("pragma journal_mode = delete")
                    seen = copy.execute("pragma quick_check(1)").fetchone()[0]
        found.append(None if seen == "ok" else " ".join(seen.split())[:200])
    except sqlite3.OperationalError as error:
        # Locked, not to be opened, or left by a killed writer: nothing is wrong with what is in it.
        found.append(None if target is None else str(error))
    except sqlite3.Error as error:
        found.append(str(error))
json.dump(found, sys.stdout)
"""


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as an SQLite file does. An empty one does not.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def copy_databases(pairs: Sequence[tuple[Path, Path]]) -> list[str | None]:
    """Copy SQLite files as they are after the last commit, with SQLite's backup interface; writers go on meanwhile.

    Args:
        pairs: Each a database that exists and a new file for its copy.

    Returns:
        For each pair why its copy cannot be used (the file is damaged, or held by another process), or None. A copy was
        checked by SQLite.

    Raises:
        LakeError: If the process that copies was ended.
    """
    return _done([(str(source), str(target)) for source, target in pairs])


def problems_of(paths: Sequence[Path]) -> list[str | None]:
    """For each SQLite file what is damaged in it, or None; SQLite reads all of it.

    A file that is locked, or that this user may not open, is not damaged.

    Raises:
        LakeError: If the process that reads was ended.
    """
    return _done([(str(path), None) for path in paths])


def _done(pairs: Sequence[tuple[str, str | None]]) -> list[str | None]:
    if not pairs:
        return []
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LakeError(
            f"Expected to read {pairs[0][0]}, found that the process that does it ended with {done.returncode}: "
            f"{done.stderr.strip()[-300:]}; try again."
        )
    found: list[str | None] = json.loads(done.stdout)
    return found
