"""A copy of the lake's catalog, and files that stay while they are read.

Here: holding off the deletion of files, copying the catalog between two commits, and the list of files of that copy.
Not here: where the files are copied to (`orchestration.backup`).

Concept: a file of the lake is never changed, only deleted, and only maintenance deletes. So the write lock is held for
the copy of the catalog alone; while the files are copied, writers go on and maintenance deletes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lake.catalog import read_catalog
from lake.config import LakeConfig
from lake.connection import Lake, current_snapshot
from lake.digests import RecordedFile, record_new, recorded_files
from lake.errors import LakeError, LakeLockedError
from lake.sqlite_files import copy_databases
from lake.storage import is_object_store

_LOCK = "keep-files.lock"


@dataclass(frozen=True)
class CatalogCopy:
    """What a copied catalog holds.

    Attributes:
        lake_id: The lake.
        snapshot: Its newest snapshot.
        folder: The lake's folder, with trailing slash.
        files: Every file that one of its snapshots references.
        problems: For each of the other databases why its copy cannot be used, or None.
    """

    lake_id: str
    snapshot: int
    folder: str
    files: tuple[RecordedFile, ...]
    problems: tuple[str | None, ...]


@contextmanager
def files_kept(config: LakeConfig, timeout_s: float) -> Iterator[bool]:
    """Keep every file of the lake for the duration of the block, whoever would delete it.

    Args:
        config: A lake with an SQLite catalog.
        timeout_s: How long to wait for another holder; 0 only tries.

    Yields:
        Whether it is held now. It is a lock of the operating system: a holder that is killed has released it.
    """
    lock = FileLock(config.folder / _LOCK, thread_local=False)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def copied(lake: Lake, target: Path, also: Sequence[tuple[Path, Path]] = ()) -> Iterator[CatalogCopy]:
    """Copy the catalog; no file of the copy is deleted until the block ends.

    Args:
        lake: A lake with an SQLite catalog and files in a folder.
        target: A new file for the copy.
        also: Other SQLite files and their copies, to be copied after the catalog, before the next writer.

    Raises:
        LakeError: If the lake is of another kind, or the catalog is not whole.
        LakeLockedError: If a writer, or another copy, took longer than the lock timeout.
    """
    config = lake.config
    if config.is_postgres or is_object_store(lake.data_folder):
        raise LakeError(
            "Expected a lake with an SQLite catalog and files in a folder, found "
            f"{'a PostgreSQL catalog' if config.is_postgres else 'files in an object store'}; back it up with its own "
            "tools: pg_dump first, then the files, with maintenance off meanwhile (docs/how-to/back-up-and-restore.md)."
        )
    with files_kept(config, config.lock_timeout_s) as held:
        if not held:
            raise LakeLockedError(
                f"Waited {config.lock_timeout_s:.0f} s for another backup of {config.home}; let it finish, "
                "then try again."
            )
        with lake.maintaining("copy the catalog") as con:
            # A writer that was killed after its commit has left this to the next.
            record_new(con, lake.data_folder)
            catalog = read_catalog(config)
            assert catalog is not None  # the lake is open
            files = tuple(recorded_files(con))
            snapshot = current_snapshot(con)
            problem, *problems = copy_databases([(config.catalog_path, target), *also])
        if problem is not None:
            raise LakeError(
                f"Expected a whole catalog at {config.catalog_path}, found: {problem}; nothing was copied "
                "(docs/runbook/lake-unreadable.md)."
            )
        yield CatalogCopy(catalog.lake_id, snapshot, lake.data_folder, files, tuple(problems))
