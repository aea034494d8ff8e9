"""A question that somebody else wrote, answered by the lake and able to change nothing.

Here: one `select` on one snapshot, on a connection of its own that can neither write the lake nor reach another file.
Not here: how an answer is shown (`orchestration.cli.sql`).

Concept: three walls, none of which is enough alone (docs/adr/0053-questions.md). Only one statement that selects is
run: `copy … to` may write where DuckDB may read. Only table functions of a list are called: others read any SQLite file
or delete the lake's files from within a `select`. And DuckDB may read the lake's folder and no other file or address,
with its settings locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from lake.bound import execute_bound
from lake.errors import QuestionError
from lake.storage import quoted

if TYPE_CHECKING:
    from lake.connection import Lake

TABLE_FUNCTIONS = frozenset(
    (
        *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
        *("duckdb_tables", "duckdb_columns", "duckdb_schemas", "duckdb_views", "duckdb_functions"),
        *("snapshots", "ducklake_snapshots", "ducklake_table_info", "table_info"),
        *("table_changes", "table_insertions", "table_deletions"),
        *("ducklake_table_changes", "ducklake_table_insertions", "ducklake_table_deletions"),
    )
)
"""What may stand after `from` with parentheses: each only reads, and only this lake or its own arguments."""


@contextmanager
def asked(lake: Lake, question: str, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The answer to a question.

    Args:
        lake: The lake.
        question: One statement of SQL that selects (also `from`, `describe`, `summarize`).
        snapshot: The lake as it was then; None for the newest one.

    Yields:
        A connection whose result is the answer, to be fetched.

    Raises:
        QuestionError: It is no such statement, or it cannot be answered.
        UnknownSnapshotError: There is no such snapshot.
    """
    with lake.read(lake.snapshot_id() if snapshot is None else snapshot) as con:
        try:
            _require_question(con, question)
            con.execute(f"set allowed_directories = [{quoted(lake.data_folder)}]")
            con.execute("set enable_external_access = false")
            con.execute("set lock_configuration = true")
            con.execute(question)
            yield con
        except duckdb.Error as error:
            raise QuestionError(str(error)) from error


def _require_question(con: duckdb.DuckDBPyConnection, question: str) -> None:
    statements = con.extract_statements(question)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        found = ", ".join(statement.type.name.lower() for statement in statements) or "none"
        raise QuestionError(
            f"expected one statement that selects, found {found}; nothing can be changed here"
        )
    row = execute_bound(
        con, "select json_serialize_sql($question::varchar)", {"question": question}
    ).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed.get("error"):
        why = parsed.get("error_message", "it cannot be read")
        raise QuestionError(f"expected one statement that selects, found another one ({why})")
    if refused := sorted(_table_functions(parsed) - TABLE_FUNCTIONS):
        raise QuestionError(
            f"{refused[0]}() cannot be called here; a question reads tables of the lake (docs/columns.md)"
        )


def _table_functions(node: object) -> set[str]:
    """Names of the table functions that a parsed statement calls, at any depth."""
    if isinstance(node, list):
        return {name for item in node for name in _table_functions(item)}
    if not isinstance(node, dict):
        return set()
    found = {name for item in node.values() for name in _table_functions(item)}
    if node.get("type") == "TABLE_FUNCTION":
        function = node.get("function") or {}
        found.add(str(function.get("function_name", "this function")).lower())
    return found
