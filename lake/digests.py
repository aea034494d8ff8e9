"""Digests of the lake's files, by which a file that changed after it was written is found.

DuckLake never changes a file. A disk, a faulty copy or a hand may, and Parquet notices that in one case of six: the
others are wrong rows without an error. So the SHA-256 of each file is kept in a table beside DuckLake's own tables in
the catalog. It is written under the lock of the writer that made the file, right after its commit (ADR 46).

Here: recording digests and comparing files with them. Not here: alerts, and the way back
(`docs/runbook/file-damaged.md`). An object store keeps digests of its own: nothing is recorded there.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lake.catalog import ATTACHED_TABLES, files_sql
from lake.storage import is_object_store

_DIGESTS = f"{ATTACHED_TABLES}.assay_file_digests"


@dataclass(frozen=True)
class DamagedFile:
    """A file that is not as it was written.

    Attributes:
        path: As the catalog names it: relative to the lake's folder, or absolute.
        table: Its table, `schema.name`.
        rows: Rows that it had.
        first_snapshot: The first snapshot with it.
        end_snapshot: The first snapshot without it; None: the newest has it.
        found: What is there instead, in words.
        sha256: The digest that it had; None if none was recorded.
    """

    path: str
    table: str
    rows: int
    first_snapshot: int
    end_snapshot: int | None
    found: str
    sha256: str | None = None


@dataclass(frozen=True)
class RecordedFile:
    """A file that a snapshot references.

    Attributes:
        path: As the catalog names it: relative to the lake's folder, or absolute.
        bytes: Its size.
        sha256: Its digest; None if none could be recorded, because the file is missing or of another size.
    """

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class FileReview:
    """What comparing all files with their digests found.

    Attributes:
        files: Files that were read.
        bytes: Their size.
        unrecorded: Those without a digest: only their size could be compared.
        damaged: Those that differ, the ones of the newest snapshot first.
    """

    files: int
    bytes: int
    unrecorded: int
    damaged: tuple[DamagedFile, ...]


def is_prepared(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the attached catalog has the table."""
    try:
        con.execute(f"from {_DIGESTS} limit 0")
    except duckdb.CatalogException:
        return False
    return True


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table where it is missing."""
    con.execute(
        f"create table if not exists {_DIGESTS} (kind varchar, file_id bigint, sha256 varchar, recorded_at timestamp)"
    )


def record_new(con: duckdb.DuckDBPyConnection, folder: str) -> int:
    """Record the digests of files that have none; returns how many were recorded.

    A file that is missing, or not as long as its catalog says, gets none: `review` reports it.

    Args:
        con: A writable connection of the lake in autocommit mode, under the write lock.
        folder: The lake's folder, with trailing slash.
    """
    if is_object_store(folder):
        return 0
    new = con.execute(
        f"select kind, file_id, path, bytes from ({files_sql()}) anti join {_DIGESTS} using (kind, file_id)"
    ).fetchall()
    found = [(kind, number, _digest(folder, path, size)) for kind, number, path, size in new]
    whole = [row for row in found if row[2] is not None]
    if whole:
        kinds, numbers, digests = (list(column) for column in zip(*whole, strict=True))
        con.execute(
            f"insert into {_DIGESTS} select unnest($1::varchar[]), unnest($2::bigint[]), unnest($3::varchar[]),"
            " now()::timestamp",
            [kinds, numbers, digests],
        )
    return len(whole)


def forget_removed(con: duckdb.DuckDBPyConnection) -> None:
    """Forget the digests of files that no snapshot references any more."""
    for kind in ("data", "delete"):
        con.execute(
            f"delete from {_DIGESTS} where kind = '{kind}' and file_id not in"
            f" (select {kind}_file_id from {ATTACHED_TABLES}.ducklake_{kind}_file)"
        )


def recorded_files(con: duckdb.DuckDBPyConnection) -> list[RecordedFile]:
    """Every file that a snapshot references, with its digest, by path."""
    rows = con.execute(
        f"select distinct path, bytes, sha256 from ({files_sql()}) left join {_DIGESTS} using (kind, file_id)"
        " order by path"
    ).fetchall()
    return [RecordedFile(*row) for row in rows]


def review(con: duckdb.DuckDBPyConnection, folder: str) -> FileReview:
    """Read every file that a snapshot references and compare it with its size and digest.

    Args:
        con: A connection of the lake; no lock is needed.
        folder: The lake's folder, with trailing slash.
    """
    if is_object_store(folder):
        return FileReview(0, 0, 0, ())
    listed = f"select * exclude (recorded_at) from ({files_sql()}) left join {_DIGESTS} using (kind, file_id)"
    files = con.execute(f"{listed} order by end_snapshot is not null, table_name, path").fetchall()
    damaged = []
    for kind, number, table, path, size, rows, first, end, sha256 in files:
        found = _compared(folder, path, size, sha256)
        if found is not None:
            damaged.append((kind, number, DamagedFile(path, table, rows, first, end, found, sha256)))
    if damaged:
        # Maintenance may have removed some meanwhile.
        still = set(con.execute(f"select kind, file_id from ({files_sql()})").fetchall())
        damaged = [row for row in damaged if (row[0], row[1]) in still]
    return FileReview(
        len(files),
        sum(row[4] for row in files),
        sum(row[8] is None for row in files),
        tuple(file for _, _, file in damaged),
    )


def _compared(folder: str, path: str, size: int, sha256: str | None) -> str | None:
    """What is wrong with a file, in words; None: nothing."""
    target = Path(folder, path)
    try:
        found = target.stat().st_size
        if found != size:
            return f"{found:,} bytes instead of {size:,}"
        if sha256 is not None and _sha256(target) != sha256:
            return "other bytes than were written"
    except FileNotFoundError:
        return "no file"
    except OSError as error:
        return f"a file that cannot be read ({error.strerror or type(error).__name__})"
    return None


def _digest(folder: str, path: str, size: int) -> str | None:
    target = Path(folder, path)
    try:
        return _sha256(target) if target.stat().st_size == size else None
    except OSError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return hashlib.file_digest(file, "sha256").hexdigest()
