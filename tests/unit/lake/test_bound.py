"""Values are bound without pandas, and stay values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import duckdb
import pytest

from lake.bound import Value, execute_bound
from tests.command import modules_of
from tests.names import HOSTILE

TEXTS = [
    *HOSTILE,
    "",
    "'",
    "'); drop table t; --",
    "\\",
    "a\x00b",
    "$given",
    "é",
    "\U0001f4a5",
    "x" * 100_000,
]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_itself(con: duckdb.DuckDBPyConnection, text: str) -> None:
    assert execute_bound(con, "select $given", {"given": text}).fetchone() == (text,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 1, 0, 0, 0, 1), None),  # noqa: DTZ001
        (datetime(1969, 12, 31, 23, 59, 59, 999_999), None),  # noqa: DTZ001
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 1)),  # noqa: DTZ001
        (-7, None),
        (2**40, None),
        (True, None),
        (None, None),
        (TEXTS[:5], None),
        ([], None),
        ([datetime(2026, 1, 1), datetime(2026, 1, 2)], None),  # noqa: DTZ001
    ],
)
def test_a_value_is_itself(con: duckdb.DuckDBPyConnection, value: Value, expected: object) -> None:
    expected = value if expected is None else expected
    assert execute_bound(con, "select $v", {"v": value}).fetchone() == (expected,)
    if not isinstance(value, datetime) or value.tzinfo is None:
        assert con.execute("select $v", {"v": value}).fetchone() == (expected,)


def test_several_questions_one_after_another_and_their_errors_are_those_of_execute(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("create table t as select range::varchar as n from range(5)")
    for given in ("1", "2"):
        asked = execute_bound(con, "select n, $at from t where n = $given", {"given": given, "at": None})
        assert asked.fetchall() == [(given, None)]
        assert next(column[0] for column in asked.description or ()) == "n"
    with pytest.raises(duckdb.BinderException):
        execute_bound(con, "select nope from t where n = $given", {"given": "1"})
    with pytest.raises(duckdb.Error):
        execute_bound(con, "select $given, $other", {"given": "1"})
    with pytest.raises(TypeError, match="found float"):
        execute_bound(con, "select $given", {"given": 0.5})  # type: ignore[dict-item]


def test_pandas_is_not_imported() -> None:
    program = "import duckdb\nfrom lake.bound import execute_bound\n{}\nassert con.fetchall() == [('x',)]"
    asked = "con = execute_bound(duckdb.connect(), 'select $v', {'v': 'x'})"
    assert "pandas" not in modules_of(program.format(asked))
