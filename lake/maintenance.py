"""Keep the lake small: inlined rows to files, small files to large ones, old snapshots and unreferenced files removed.

Two kinds of snapshots are kept longer than the retention: those the caller names (a live model version was trained on
one, an audit is open on another), and everything from the last snapshot the marts have processed onwards,
because the marts find what is new in the change feed between that snapshot and the newest.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from lake.cleanup import Cleanup, remove_unreferenced_files
from lake.config import CATALOG_ALIAS
from lake.connection import Lake, current_snapshot
from lake.copying import files_kept
from lake.digests import forget_removed
from lake.ownership import Marker
from lake.tables import relations

REWRITE_DELETED_SHARE = 0.25
"""A file is rewritten without its deleted rows once this share of them is deleted."""

REPORTED_FILES = 20
"""How many of the files that are not ours a report names."""


@dataclass(frozen=True)
class MaintenanceReport:
    """What one maintenance did.

    Attributes:
        rows_flushed: Inlined rows moved from the catalog into files.
        files_rewritten: Files rewritten because many of their rows were deleted.
        files_merged: Small files that were merged.
        files_created: Files those became.
        snapshots_expired: Snapshots that can no longer be read.
        snapshots_kept: Snapshots that still can.
        files_deleted: Files that only expired snapshots referenced.
        orphans_deleted: Files of our own writes that no snapshot ever referenced (`cleanup`).
        files_not_ours: Files in the lake's folder that the catalog does not reference, and that stay because they are
            not certainly ours, or not yet old enough.
        first_not_ours: Some of them, each with the reason.
    """

    rows_flushed: int
    files_rewritten: int
    files_merged: int
    files_created: int
    snapshots_expired: int
    snapshots_kept: int
    files_deleted: int
    orphans_deleted: int
    files_not_ours: int
    first_not_ours: list[str]


def maintain(lake: Lake, keep_snapshots: Collection[int], retention_days: float) -> MaintenanceReport:
    """Compact the lake and expire snapshots that are past their retention.

    Args:
        lake: The lake; its write lock is held throughout.
        keep_snapshots: Snapshots that stay readable whatever their age.
        retention_days: Age in days beyond which other snapshots are expired; 0 expires all but the newest.

    Raises:
        ValueError: If the retention is negative.
        DataPathError: If the folder of the files is not, or no longer, this lake's; nothing was changed.
        UnsafeCleanupError: If DuckLake offered a file for deletion that a snapshot references; none was deleted.
        LakeLockedError: If a writer kept the lock longer than the timeout.
    """
    if retention_days < 0:
        raise ValueError(f"retention_days must not be negative; found {retention_days}.")
    with lake.maintaining("maintain the lake") as con:
        marker = lake.owned_folder()
        rows_flushed = _total(con, f"call ducklake_flush_inlined_data('{CATALOG_ALIAS}')", "rows_flushed")
        rewritten = _total(
            con,
            f"call ducklake_rewrite_data_files('{CATALOG_ALIAS}', "
            f"delete_threshold => {REWRITE_DELETED_SHARE})",
            "files_processed",
        )
        merge = con.execute(f"call ducklake_merge_adjacent_files('{CATALOG_ALIAS}')").fetchall()
        expired = _expire(con, keep_snapshots, datetime.now(UTC) - timedelta(days=retention_days))
        cleanup = _remove(lake, con, marker)
        forget_removed(con)
        remaining = con.execute(f"select count(*) from ducklake_snapshots('{CATALOG_ALIAS}')").fetchone()
        return MaintenanceReport(
            rows_flushed=rows_flushed,
            files_rewritten=rewritten,
            files_merged=sum(row[2] for row in merge),
            files_created=sum(row[3] for row in merge),
            snapshots_expired=expired,
            snapshots_kept=int(remaining[0]) if remaining else 0,
            files_deleted=cleanup.files_deleted,
            orphans_deleted=cleanup.orphans_deleted,
            files_not_ours=len(cleanup.kept),
            first_not_ours=list(cleanup.kept[:REPORTED_FILES]),
        )


def _remove(lake: Lake, con: duckdb.DuckDBPyConnection, marker: Marker) -> Cleanup:
    """Remove files that nothing references, unless a backup reads files now: then the next maintenance does."""
    if lake.config.is_postgres:
        return remove_unreferenced_files(con, marker, lake.data_folder, datetime.now(UTC))
    with files_kept(lake.config, timeout_s=0) as held:
        if not held:
            return Cleanup(
                0, 0, ("all files: a backup reads them now, the next maintenance removes what is old",)
            )
        return remove_unreferenced_files(con, marker, lake.data_folder, datetime.now(UTC))


def _expire(con: duckdb.DuckDBPyConnection, keep: Collection[int], before: datetime) -> int:
    """Expire snapshots older than ``before``, except the kept ones; returns how many."""
    first_needed = _marts_watermark(con)
    needed = current_snapshot(con) if first_needed is None else min(first_needed, current_snapshot(con))
    rows = con.execute(
        f"select snapshot_id from ducklake_snapshots('{CATALOG_ALIAS}') "
        "where snapshot_time < ? and snapshot_id < ?",
        [before, needed],
    ).fetchall()
    versions = sorted({int(row[0]) for row in rows} - {int(snapshot) for snapshot in keep})
    if versions:
        con.execute(f"call ducklake_expire_snapshots('{CATALOG_ALIAS}', versions => {versions})")
    return len(versions)


def _marts_watermark(con: duckdb.DuckDBPyConnection) -> int | None:
    """The last snapshot the marts have processed, if they have ever run."""
    if "ops.mart_watermark" not in relations(con):
        return None  # a lake that was opened without declared tables
    row = con.execute("select max(snapshot_id) from ops.mart_watermark").fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _total(con: duckdb.DuckDBPyConnection, call: str, column: str) -> int:
    cursor = con.execute(call)
    position = [name for name, *_ in cursor.description or []].index(column)
    return int(sum(row[position] for row in cursor.fetchall()))
