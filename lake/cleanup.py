"""Delete files that nothing references any more, and never a file of another lake or program.

Two kinds are deleted: files that only expired snapshots referenced, which the catalog lists itself, and orphans of our
own writes, which a killed process left. A file counts as our orphan only if four conditions hold together: it is in a
folder where this lake writes, it has a name that DuckLake generates, the time in that name is after the folder was
marked as this lake's, and the file is older than a day. Every other file is reported and stays.

DuckLake's own clean-up deletes all it finds below the data path, and has deleted referenced files (ducklake 815,
1105): here it is asked for a list, and deletes only what passed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lake.catalog import referenced_files, schema_folders
from lake.config import CATALOG_ALIAS
from lake.errors import UnsafeCleanupError
from lake.ownership import Marker
from lake.storage import is_object_store, relative_path

ORPHAN_AGE = timedelta(days=1)
"""An orphan is removed when it is older than this; no write takes that long."""

# schema/table/[partition=value/]ducklake-<UUID of version 7>[-delete].parquet
_OUR_NAME = re.compile(
    r"(?P<schema>[^/]+)/[^/]+/(?:[^/=]+=[^/]*/)*"
    r"ducklake-(?P<written>[0-9a-f]{8}-[0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?:-delete)?\.parquet"
)


@dataclass(frozen=True)
class Cleanup:
    """What one clean-up did.

    Attributes:
        files_deleted: Files that only expired snapshots referenced.
        orphans_deleted: Files of our own writes that no snapshot ever referenced.
        kept: ``path: reason`` of each file that the catalog does not reference and that was kept.
    """

    files_deleted: int
    orphans_deleted: int
    kept: tuple[str, ...]


def remove_unreferenced_files(
    con: duckdb.DuckDBPyConnection, marker: Marker, folder: str, now: datetime
) -> Cleanup:
    """Delete what only expired snapshots referenced and what killed writes left.

    Args:
        con: A connection in autocommit mode, under the write lock.
        marker: The marker of the folder, just read (`lake.ownership.owned`).
        folder: The lake's folder, with trailing slash.
        now: Time that ages are counted from (UTC).

    Raises:
        UnsafeCleanupError: If DuckLake would delete a file that a snapshot references; nothing was deleted then.
    """
    in_snapshots = referenced_files(con)
    scheduled = {path: relative_path(folder, path) for path in _listed(con, "ducklake_cleanup_old_files")}
    unnamed = {path: relative_path(folder, path) for path in _listed(con, "ducklake_delete_orphaned_files")}
    _refuse_overlap(in_snapshots, {**scheduled, **unnamed})

    kept = [
        f"{path}: to be deleted, but outside of the folder"
        for path, inside in scheduled.items()
        if not inside
    ]
    files_deleted = 0
    if not kept:  # DuckLake deletes all of them or none
        files_deleted = len(_run(con, "ducklake_cleanup_old_files", "cleanup_all => true"))

    schemas = schema_folders(con)
    orphans = []
    for path, inside in sorted(unnamed.items()):
        reason = why_kept(inside, schemas, marker.marked_at, now)
        if reason is None and not is_object_store(folder):
            reason = _too_young_on_disk(Path(path), now)
        if reason is None:
            orphans.append(path)
        else:
            kept.append(f"{path}: {reason}")
    if is_object_store(folder):
        deleted, held = _remove_objects(con, orphans, now)
        kept += held
    else:
        deleted = _remove_files(orphans)
    return Cleanup(files_deleted, deleted, tuple(kept))


def why_kept(inside: str | None, schemas: Collection[str], marked_at: datetime, now: datetime) -> str | None:
    """Why a file that no snapshot references is not removed; None for an orphan of our own writes.

    Args:
        inside: Its path within the lake's folder; None if it is not in that folder.
        schemas: Folders of the lake's schemas.
        marked_at: When the folder was marked as this lake's.
        now: Time that ages are counted from.
    """
    if inside is None:
        return "outside of the folder"
    match = _OUR_NAME.fullmatch(inside)
    if match is None or match["schema"] not in schemas:
        return "not a name that this lake gives"
    # The first 48 bits of such a UUID are the milliseconds since 1970 at which the name was generated. Unlike the
    # modification time of the file they survive a copy.
    written_at = datetime.fromtimestamp(int(match["written"].replace("-", ""), 16) / 1000, UTC)
    if written_at < marked_at:
        return "written before the folder was marked as this lake's"
    if written_at > now - ORPHAN_AGE:
        return "younger than a day"
    return None


def _refuse_overlap(in_snapshots: Collection[str], candidates: dict[str, str | None]) -> None:
    referenced = sorted(
        path for path, inside in candidates.items() if path in in_snapshots or inside in in_snapshots
    )
    if referenced:
        raise UnsafeCleanupError(
            f"Expected DuckLake to offer only files for deletion that no snapshot references, found {len(referenced)} "
            f"that one does, such as {referenced[0]}; nothing was deleted, and the lake is intact. Please report this "
            "with the versions of duckdb and ducklake; until then leave maintenance off."
        )


def _too_young_on_disk(path: Path, now: datetime) -> str | None:
    changed_at = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return "younger than a day" if changed_at > now - ORPHAN_AGE else None


def _remove_files(orphans: Collection[str]) -> int:
    for path in orphans:
        Path(path).unlink(missing_ok=True)
    return len(orphans)


def _remove_objects(
    con: duckdb.DuckDBPyConnection, orphans: Collection[str], now: datetime
) -> tuple[int, list[str]]:
    """Remove objects through DuckLake, which removes every one older than a given time: only if all of these passed.

    An object's time is that of its upload, so no further object becomes older than a day before the deletion.

    Returns:
        How many were removed, and ``path: reason`` of those that stay.
    """
    if not orphans:
        return 0, []
    age = f"older_than => '{(now - ORPHAN_AGE).isoformat()}'::timestamptz"
    old = {row[0] for row in _run(con, "ducklake_delete_orphaned_files", f"{age}, dry_run => true")}
    held = [f"{path}: younger than a day" for path in orphans if path not in old]
    if not old <= set(orphans):
        both = [path for path in orphans if path in old]
        return 0, [*held, *(f"{path}: among old objects that are not certainly this lake's" for path in both)]
    return len(_run(con, "ducklake_delete_orphaned_files", age)), held


def _listed(con: duckdb.DuckDBPyConnection, function: str) -> list[str]:
    return [row[0] for row in _run(con, function, "cleanup_all => true, dry_run => true")]


def _run(con: duckdb.DuckDBPyConnection, function: str, arguments: str) -> list[tuple[str]]:
    return con.execute(f"call {function}('{CATALOG_ALIAS}', {arguments})").fetchall()
