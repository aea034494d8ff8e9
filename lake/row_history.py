"""When rows of a table were written, and when those that are gone were deleted: the catalog keeps it by snapshot.

Here: looking up listed rows. Not here: finding the rows that differ (`lake.diff`). Snapshots that maintenance has
expired are forgotten: a row that was deleted in one has no entry. A row that maintenance
has put into another file counts as written then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from lake.catalog import files_sql
from lake.config import CATALOG_ALIAS
from lake.storage import quoted


@dataclass(frozen=True)
class Moment:
    """A snapshot, and when it was made (UTC); None for the time of one that has expired."""

    snapshot: int
    made_at: datetime | None


def last_written(
    con: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Moment]:
    """The newest snapshot in which a row of each key was written; keys without a row are left out.

    Args:
        con: A read connection of the lake.
        table: `schema.table`.
        key: Columns that name a row.
        rows: Values of the key.
    """
    # After an update a row can keep the snapshot of the row before it, but its file is new.
    written = f"""
        select t.*, greatest(t.snapshot_id, coalesce(f.first_snapshot, 0)) as _snapshot from {table} as t
        left join ({files_sql()}) as f on parse_filename(t.filename) = parse_filename(f.path)
    """
    return _newest(con, written, key, rows)


def last_deleted(
    con: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Moment]:
    """The newest snapshot in which a row of each key was deleted, among those that can be read (as `last_written`)."""
    span = con.execute(
        f"select min(snapshot_id), (select id from ducklake_current_snapshot('{CATALOG_ALIAS}'))"
        f" from ducklake_snapshots('{CATALOG_ALIAS}')"
    ).fetchone()
    if span is None or span[0] is None:
        return {}
    schema, name = table.split(".")
    deleted = (
        f"ducklake_table_deletions('{CATALOG_ALIAS}', {quoted(schema)}, {quoted(name)}, {span[0]}, {span[1]})"
    )
    return _newest(con, f"select *, snapshot_id as _snapshot from {deleted}", key, rows)


def _newest(
    con: duckdb.DuckDBPyConnection, query: str, key: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Moment]:
    if not rows:
        return {}
    names = [f'"{name}"' for name in key]
    con.register(
        "wanted_rows",
        pa.table({name: pa.array(values) for name, values in zip(key, zip(*rows, strict=True), strict=True)}),
    )
    same = " and ".join(f"t.{name} is not distinct from w.{name}" for name in names)
    try:
        found = con.execute(
            f"""
            with newest as (
                select {", ".join(f"w.{name}" for name in names)}, max(t._snapshot) as _snapshot
                from ({query}) as t join wanted_rows as w on {same} group by all
            )
            select newest.*, s.snapshot_time::timestamp from newest
            left join ducklake_snapshots('{CATALOG_ALIAS}') as s on s.snapshot_id = newest._snapshot
            """
        ).fetchall()
    finally:
        con.unregister("wanted_rows")
    return {tuple(row[:-2]): Moment(int(row[-2]), row[-1]) for row in found}
