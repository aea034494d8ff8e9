"""What a table of the lake is: declared once; everything else is derived from the declaration.

Here: columns, tables, their DDL and Arrow schema, and creating those that are missing. Not here: which tables there are
(`ml.tables`), nor how a lake made by an earlier version gets there (`lake.migrations`).

Concept: the lake has no constraints except "not null", so a key and the scope in which rows are replaced are
conventions that writers follow: they delete a scope, then insert it. All tables exist once a lake is open, so code
never checks whether a table exists; to find out whether something was ever computed, query its rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lake.storage import sql_list

_ARROW: dict[str, pa.DataType] = {
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "ubigint": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "decimal(38,0)": pa.decimal128(38, 0),
}
_SQL = {str(arrow): name for name, arrow in _ARROW.items()}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Column name.
        type: DuckDB type in lower case (`varchar`, `double`, `integer[]`, …); timestamps are UTC without a zone.
        description: One line, with the unit where there is one.
        required: Whether the lake refuses a row without it.
    """

    name: str
    type: str
    description: str
    required: bool = False


@dataclass(frozen=True)
class ColumnRule:
    """What a check demands of a column. Unlike `Column.required`, the lake takes a row that breaks it.

    Attributes:
        name: Column.
        required: Whether null breaks the rule.
        allowed: The only values, if not empty.
        low, high: Bounds of a number (both included); infinity and NaN are above every bound.
    """

    name: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def broken(self) -> str:
        """SQL that is true for a row that breaks the rule."""
        broken = [f'"{self.name}" is null'] if self.required else []
        if self.allowed:
            broken.append(f'"{self.name}" not in {sql_list(self.allowed)}')
        if self.low is not None:
            broken.append(f'"{self.name}" not between {self.low!r} and {self.high!r}')
        return f"coalesce({' or '.join(broken)}, false)" if broken else "false"


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    Attributes:
        name: `schema.table`.
        description: What a row is (its grain) and what the table promises.
        key: Columns that identify a row.
        replaced: The scope in which rows are replaced, in words.
        columns: Columns in order.
        derived: Whether it can be computed again from other tables: with other columns than declared it is then dropped
            and made empty.
        state: Tables that record how far this one is computed; emptied with it, so that it is computed again.
        state_rows: SQL that is true for the rows of those tables that are about this one.
        rules: What checks demand of its rows.
    """

    name: str
    description: str
    key: tuple[str, ...]
    replaced: str
    columns: tuple[Column, ...]
    derived: bool = False
    state: tuple[str, ...] = ()
    state_rows: str = "true"
    rules: tuple[ColumnRule, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return column_names(self.columns)

    def ddl(self) -> str:
        """The statement that makes the table, empty."""
        columns = ", ".join(f'"{c.name}" {c.type}{" not null" if c.required else ""}' for c in self.columns)
        return f"create table {self.name} ({columns})"

    @property
    def broken(self) -> str:
        """SQL that is true for a row that breaks one of the rules."""
        return " or ".join(rule.broken for rule in self.rules) or "false"

    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema, for rows that are made in Python."""
        return pa.schema([(column.name, arrow_type(column.type)) for column in self.columns])


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type of a DuckDB type."""
    return pa.list_(arrow_type(kind[:-2])) if kind.endswith("[]") else _ARROW[kind]


def sql_type(kind: pa.DataType) -> str:
    """The DuckDB type of an Arrow type."""
    return _SQL[str(kind)]


def columns(lines: str) -> tuple[Column, ...]:
    """Columns from lines of `name type description`; empty lines are skipped."""
    declared = []
    for line in filter(None, (line.strip() for line in lines.splitlines())):
        name, kind, description = line.split(maxsplit=2)
        declared.append(Column(name, kind, description))
    return tuple(declared)


def column_names(declared: Iterable[Column]) -> tuple[str, ...]:
    """Names of columns, in order."""
    return tuple(column.name for column in declared)


def fingerprint(tables: Iterable[Table]) -> str:
    """Short hash of what the tables are in the lake: names, columns and types; descriptions do not count."""
    statements = sorted(table.ddl() for table in tables)
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]


def create_missing(con: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[str]:
    """Make the tables that are missing, empty, and their schemas, in the caller's transaction.

    Returns:
        Names of the tables that were made.
    """
    present = relations(con)
    missing = [table for table in tables if table.name not in present]
    for schema in sorted({table.name.split(".")[0] for table in missing}):
        con.execute(f"create schema if not exists {schema}")
    for table in missing:
        con.execute(table.ddl())
    return [table.name for table in missing]


def is_empty(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether a table has no row: nothing was ever computed, or nothing is left."""
    return con.execute(f"select 1 from {table} limit 1").fetchone() is None


def relations(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Every table and view of the database in use, as `schema.table`.

    From the columns: `duckdb_tables()` also estimates sizes, for which DuckLake reads all its file statistics (0.4 s).
    """
    return set(stored_columns(con))


def stored_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Columns of every table and view of the database in use: `schema.table` to name to type, in order."""
    rows = con.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() order by schema_name, table_name, column_index"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = str(kind).lower()
    return found
