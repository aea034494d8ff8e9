"""What the catalog records about its lake: its id, where its files were put first, which files it references.

Read from DuckLake's own tables, through DuckDB: a second SQLite library in one process would drop the locks of the
first when it closes the file. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lake.config import CATALOG_ALIAS, LakeConfig
from lake.extensions import open_database
from lake.storage import quoted

BUSY_TIMEOUT_MS = 10_000
"""How long SQLite waits for another process's catalog commit (milliseconds); one takes a few of them."""

ATTACHED_TABLES = f"__ducklake_metadata_{CATALOG_ALIAS}"
"""The database in which a connection of the lake sees DuckLake's own tables."""

_ALONE = "catalog"
_SMALL: dict[str, str | int | bool | float] = {"threads": 1, "memory_limit": "256MB"}


@dataclass(frozen=True)
class Catalog:
    """A catalog and what identifies it.

    Attributes:
        lake_id: UUID that DuckLake generated for the schema ``main`` when it made the catalog. It is copied and moved
            with the catalog; Assay never writes it.
        data_path: Where the lake's files were put when the catalog was made; the layout is read from it.
        address: Where the catalog is, without user and password.
        server: PostgreSQL only: the server's system identifier and the database, which stay the same under
            another host name.
    """

    lake_id: str
    data_path: str
    address: str
    server: str | None = None


def read_catalog(config: LakeConfig) -> Catalog | None:
    """The lake's catalog, or None if there is none yet (or a kill left it without its first tables)."""
    if not config.is_postgres:
        return read_sqlite_catalog(config.catalog_path)
    with _opened(config) as con:
        identity = _lake_id_and_data_path(con)
        if identity is None:
            return None
        question = (
            "select system_identifier::text || ''/'' || current_database() as server from pg_control_system()"
        )
        row = con.execute(f"from postgres_query('{_ALONE}', '{question}')").fetchone()
    return Catalog(*identity, address=config.postgres.public_url(), server=str(row[0]) if row else None)


def read_sqlite_catalog(path: Path) -> Catalog | None:
    """The catalog in an SQLite file, or None if no catalog is there."""
    if not path.exists():
        return None
    with _opened_sqlite(path) as con:
        identity = _lake_id_and_data_path(con)
    return None if identity is None else Catalog(*identity, address=f"sqlite:{path.resolve()}")


def files_of_catalog(config: LakeConfig) -> set[str]:
    """Every file the catalog references, without attaching the lake (`referenced_files`)."""
    with _opened(config) as con:
        return referenced_files(con, _ALONE)


def referenced_files(con: duckdb.DuckDBPyConnection, database: str = ATTACHED_TABLES) -> set[str]:
    """Every file that a snapshot of the catalog references, data and deletions.

    Args:
        con: A connection that sees DuckLake's own tables.
        database: The name under which it sees them.

    Returns:
        Paths relative to the lake's folder; absolute ones where the catalog stores them so.
    """
    rows = con.execute(f"select distinct path from ({files_sql(database)})").fetchall()
    return {row[0] for row in rows}


def files_sql(database: str = ATTACHED_TABLES) -> str:
    """A query of every file that a snapshot references.

    One row for each file: kind (data or delete), file_id (of its kind), table_name, path (as `referenced_files`),
    bytes, rows, first_snapshot, end_snapshot (the first one without it; null: the newest has it).
    """
    return f"""
        with files as (
            select 'data' as kind, data_file_id as file_id, table_id, path, path_is_relative, file_size_bytes as bytes,
                record_count as rows, begin_snapshot, end_snapshot
            from {database}.ducklake_data_file
            union all
            select 'delete', delete_file_id, table_id, path, path_is_relative, file_size_bytes, delete_count,
                begin_snapshot, end_snapshot
            from {database}.ducklake_delete_file
        )
        select f.kind, f.file_id, s.schema_name || '.' || t.table_name as table_name, case
                when not f.path_is_relative::boolean then f.path
                when not t.path_is_relative::boolean then t.path || f.path
                else s.path || t.path || f.path
            end as path, f.bytes, f.rows, f.begin_snapshot as first_snapshot, f.end_snapshot
        from files f
        join {database}.ducklake_table t on t.table_id = f.table_id
        join {database}.ducklake_schema s on s.schema_id = t.schema_id
    """


def schema_folders(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Folders of the schemas that the attached catalog has or had, without the trailing slash."""
    rows = con.execute(f"select path from {ATTACHED_TABLES}.ducklake_schema").fetchall()
    return {row[0].rstrip("/") for row in rows}


def smallest_values(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """`schema.table` to column to the smallest value that it ever had, as text; lists and empty columns have none.

    From the catalog's statistics, so that no table is read. Rows that were deleted since count too.
    """
    rows = con.execute(
        f"""
        select s.schema_name || '.' || t.table_name, c.column_name, stats.min_value
        from {ATTACHED_TABLES}.ducklake_table_column_stats stats
        join {ATTACHED_TABLES}.ducklake_column c
            on c.table_id = stats.table_id and c.column_id = stats.column_id and c.end_snapshot is null
        join {ATTACHED_TABLES}.ducklake_table t on t.table_id = stats.table_id and t.end_snapshot is null
        join {ATTACHED_TABLES}.ducklake_schema s on s.schema_id = t.schema_id and s.end_snapshot is null
        where c.parent_column is null and stats.min_value is not null
        """
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, value in rows:
        found.setdefault(table, {})[column] = value
    return found


@contextmanager
def _opened(config: LakeConfig) -> Iterator[duckdb.DuckDBPyConnection]:
    if not config.is_postgres:
        with _opened_sqlite(config.catalog_path) as con:
            yield con
        return
    con = open_database(("postgres_scanner",), _SMALL)
    try:
        for statement in config.postgres.attach_sql(_ALONE, "read_only"):
            con.execute(statement)
        yield con
    finally:
        con.close()


@contextmanager
def _opened_sqlite(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = open_database(("sqlite_scanner",), _SMALL)
    try:
        con.execute(
            f"attach {quoted(str(path))} as {_ALONE} (type sqlite, read_only, busy_timeout {BUSY_TIMEOUT_MS})"
        )
        yield con
    finally:
        con.close()


def _lake_id_and_data_path(con: duckdb.DuckDBPyConnection) -> tuple[str, str] | None:
    needed = {"ducklake_metadata", "ducklake_schema"}
    tables = con.execute(
        # Not bound: DuckDB imports pandas, half a second, to bind the first value of a process.
        f"select table_name from duckdb_tables() where database_name = {quoted(_ALONE)}"
    ).fetchall()
    if not needed <= {row[0] for row in tables}:
        return None
    row = con.execute(
        f"select (select schema_uuid::varchar from {_ALONE}.ducklake_schema where schema_id = 0), "
        f"(select value from {_ALONE}.ducklake_metadata where key = 'data_path')"
    ).fetchone()
    return None if row is None or None in row else (row[0], row[1])
