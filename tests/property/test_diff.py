"""The keyed difference of generated tables against one in plain Python: counts, rows and names of columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.diff import compare

COLUMNS = {
    "key": pa.int64(),
    "position": pa.string(),  # a name that the comparison might use itself
    "number": pa.float64(),
    "amount": pa.decimal128(20, 4),
    "time": pa.timestamp("us"),
    "numbers": pa.list_(pa.float64()),
    "words": pa.list_(pa.string()),
}
MIDNIGHT = datetime(2026, 1, 1)  # noqa: DTZ001
NUMBERS = st.sampled_from([None, 0.0, -0.0, math.nan, -math.nan, math.inf, 0.1 + 0.2, 0.3])
WORDS = st.sampled_from([None, "", "a", "b", "a, b", "NULL", "'", '"', "[", "ab"])
ROWS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, 1, 2, 3]),
        "position": WORDS,
        "number": NUMBERS,
        "amount": st.sampled_from([None, Decimal("1.5"), Decimal("1.5000"), Decimal("-0.0001")]),
        "time": st.sampled_from([None, MIDNIGHT, MIDNIGHT + timedelta(microseconds=1)]),
        "numbers": st.none() | st.lists(NUMBERS, max_size=2),
        "words": st.none() | st.lists(WORDS, max_size=2),
    }
)
CON = duckdb.connect(config={"threads": 1})
TABLES = st.lists(ROWS, max_size=6)


def as_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=pa.schema(COLUMNS))


def plain(value: Any) -> Any:
    """The value with one form for those that are equal."""
    if isinstance(value, list):
        return tuple(plain(one) for one in value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


def plain_rows(rows: Iterable[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(plain(row[name]) for name in COLUMNS) for row in rows)


def differences(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Missing, extra and changed rows by the key."""
    left, right = plain_rows(expected), plain_rows(found)
    lost = Counter(row[0] for row in (left - right).elements())
    new = Counter(row[0] for row in (right - left).elements())
    changed = sum((lost & new).values())
    return lost.total() - changed, new.total() - changed, changed


def found_by(expected: list[dict[str, Any]], found: list[dict[str, Any]], segment: str | None) -> Any:
    CON.register("expected_rows", as_table(expected))
    CON.register("found_rows", as_table(found))
    return compare(CON, "from expected_rows", "from found_rows", ["key"], segment=segment)


@settings(max_examples=60)
@given(TABLES, TABLES, st.sampled_from([None, "position", "cast(time as date)"]))
def test_it_finds_what_plain_python_finds(
    expected: list[dict[str, Any]], found: list[dict[str, Any]], segment: str | None
) -> None:
    difference = found_by(expected, found, segment)
    assert (difference.expected_rows, difference.found_rows) == (len(expected), len(found))
    assert (difference.missing, difference.extra, difference.changed) == differences(expected, found)
    assert difference.is_empty == (plain_rows(expected) == plain_rows(found))
    for row in difference.rows:
        assert (row.kind == "changed") == bool(row.changes)


@settings(max_examples=40)
@given(st.lists(ROWS, min_size=1, max_size=6, unique_by=lambda row: row["key"]), st.data())
def test_it_names_the_column_that_was_changed(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(rows))
    column = data.draw(st.sampled_from([name for name in COLUMNS if name != "key"]))
    other = {**row, column: data.draw(ROWS)[column]}
    difference = found_by(rows, [other if one is row else one for one in rows], None)
    if plain(row[column]) == plain(other[column]):
        assert difference.is_empty
    else:
        (found,) = difference.rows
        assert [change.column for change in found.changes] == [column]
        assert found.key == (row["key"],)


@settings(max_examples=20)
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_copies_do(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    assert found_by(rows, shuffled, None).is_empty
    if rows:
        # Two copies more: in an xor they would cancel.
        twice = found_by(rows, [*rows, rows[0], rows[0]], None)
        assert (twice.missing, twice.extra, twice.changed) == (0, 2, 0)
