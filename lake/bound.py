"""A question with bound values that does not import pandas.

DuckDB's Python client imports pandas, half a second of CPU, to look at the first value that a process binds. Here
values are bound by DuckDB itself: the question is prepared and then executed, and text is given in hexadecimal digits,
so no character of a value is ever a part of a statement. For commands that answer one question and end; whoever has
pandas already, or binds thousands of values, uses `execute`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb

Value = str | int | datetime | Sequence[str] | Sequence[datetime] | None
"""What can be bound; a time without a zone is UTC, as in the lake."""

_NAME = "_bound"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def execute_bound(
    con: duckdb.DuckDBPyConnection, question: str, values: Mapping[str, Value]
) -> duckdb.DuckDBPyConnection:
    """What `con.execute(question, values)` returns.

    Args:
        con: A connection; what an earlier call returned on it is read by then.
        question: One statement, with each value as `$name`.
        values: By name.

    Raises:
        duckdb.Error: As `execute`.
        TypeError: A value is of another type.
    """
    if not values:
        return con.execute(question)
    con.execute(f"prepare {_NAME} as {question}")
    given = ", ".join(f"{name} := {_expression(value)}" for name, value in values.items())
    return con.execute(f"execute {_NAME}({given})")


def _expression(value: Value) -> str:
    """SQL of the value: digits, and nothing of what a text holds."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"decode(unhex('{value.encode().hex()}'))"
    if isinstance(value, datetime):
        at = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return f"make_timestamp({(at - _EPOCH) // timedelta(microseconds=1)})"
    if isinstance(value, int):
        return f"{int(value)}" if not isinstance(value, bool) else str(value).lower()
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_expression, value))}]" if value else "[]::varchar[]"
    raise TypeError(f"expected text, a whole number, a time or texts, found {type(value).__name__}")
