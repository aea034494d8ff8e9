"""The keyed difference on DuckDB, on PostgreSQL and between snapshots; another tool, reladiff, finds the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import reladiff

from lake.diff import ColumnChange, RowDifference, Segment, at_snapshot, compare
from lake.errors import DiffError
from lake.extensions import open_database
from tests.postgres import server
from tests.unit.lake.conftest import opened

COLUMNS = "id bigint, amount decimal(12, 4), sold_at timestamp, name varchar"
ROWS = "i, (i * 1.5)::decimal(12, 4), timestamp '2026-01-01' + i * interval '1 hour', 'token ' || i"
DIFFERENCES = (
    "delete from {0} where id = 7",
    "insert into {0} values (901, 1, timestamp '2026-01-01', 'new')",
    "update {0} set name = 'other' where id = 11",
    "update {0} set amount = amount + 0.0001 where id = 12",  # reladiff cannot sort null
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    with server() as port:
        yield port


def fill(con: duckdb.DuckDBPyConnection, table: str, *, differing: bool) -> None:
    con.execute(f"create table {table} ({COLUMNS})")
    con.execute(f"insert into {table} select {ROWS} from range(1, 900) as t(i)")
    for statement in DIFFERENCES if differing else ():
        con.execute(statement.format(table))


def by_reladiff(one: Any, other: Any) -> set[tuple[str, int]]:
    """(sign, id) of every row that one side has: what it prints."""
    columns = ("amount", "sold_at", "name")
    tables = [
        reladiff.connect_to_table(place, table, "id", extra_columns=columns) for place, table in (one, other)
    ]
    found = reladiff.diff_tables(*tables, bisection_factor=8, bisection_threshold=100)
    return {(sign, int(row[0])) for sign, row in found}


def by_us(con: duckdb.DuckDBPyConnection, expected: str, found: str) -> set[tuple[str, int]]:
    signs = {"missing": ("-",), "extra": ("+",), "changed": ("-", "+")}
    difference = compare(con, f"from {expected}", f"from {found}", ["id"])
    assert difference.differing_rows == len(difference.rows) == 4
    return {(sign, row.key[0]) for row in difference.rows for sign in signs[row.kind]}


def test_reladiff_agrees_on_duckdb_and_postgresql(postgres: int, tmp_path: Path) -> None:
    file, address = tmp_path / "one.duckdb", f"postgresql://assay@127.0.0.1:{postgres}/postgres"
    con = open_database(("postgres_scanner",), {"threads": 1})
    con.execute(f"attach '{file}' as here")
    con.execute(f"attach '{address}' as there (type postgres)")
    fill(con, "here.main.expected", differing=False)
    fill(con, "here.main.found", differing=True)
    fill(con, "there.public.found", differing=True)
    ours = by_us(con, "here.main.expected", "here.main.found")
    ours_there = by_us(con, "here.main.expected", "there.public.found")
    con.close()
    expected = {("-", 7), ("+", 901), ("-", 11), ("+", 11), ("-", 12), ("+", 12)}
    place = {"driver": "duckdb", "filepath": str(file)}
    assert ours == ours_there == expected
    assert by_reladiff((place, "expected"), (place, "found")) == expected
    assert by_reladiff((place, "expected"), (address, "found")) == expected


def test_snapshots_of_a_table_are_compared(tmp_path: Path) -> None:
    lake = opened(tmp_path)
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n, 'a' as word from range(10)")
    before = lake.snapshot_id()
    with lake.write("change") as con:
        con.execute("update raw.numbers set word = 'b' where n = 3")
        con.execute("delete from raw.numbers where n = 4")
    with lake.read() as con:
        difference = compare(
            con, at_snapshot("raw.numbers", before), at_snapshot("raw.numbers", None), ["n"], segment="n // 5"
        )
    assert difference.segments == (Segment(0, 5, 4, True, 2),)
    assert difference.rows == (
        RowDifference("changed", 0, (3,), (ColumnChange("word", "a", "b"),)),
        RowDifference("missing", 0, (4,)),
    )


@pytest.mark.parametrize("side", ["select 1 as n limit 0", "select 1 as n", "select null::integer as n"])
def test_empty_relations_one_row_and_null_keys_are_equal_to_themselves(side: str) -> None:
    with duckdb.connect() as con:
        assert compare(con, side, side, ["n"]).is_empty


def test_types_are_brought_together() -> None:
    with duckdb.connect() as con:
        one = "select 1::integer as n, 1.5::decimal(10, 2) as d, timestamp '2026-01-01' as t"
        other = "select 1::bigint as n, 1.5::double as d, timestamptz '2026-01-01 00:00:00+00' as t"
        con.execute("set TimeZone = 'UTC'")
        assert compare(con, one, other, ["n"]).is_empty


def test_hostile_names_of_columns_are_names() -> None:
    name = '"; drop table x; --'
    quoted = '"' + name.replace('"', '""') + '"'
    with duckdb.connect() as con:
        one, other = (f"select {value} as {quoted}, 1 as _segment_ from range(1)" for value in (1, 2))
        difference = compare(con, one, other, ["_segment_"])
    assert difference.rows[0].changes == (ColumnChange(name, "1", "2"),)


def test_columns_of_one_side_are_named() -> None:
    with duckdb.connect() as con:
        difference = compare(con, "select 1 as n, 2 as a", "select 1 as n, 3 as b", ["n"])
    assert (difference.only_expected, difference.only_found, difference.is_empty) == (("a",), ("b",), False)


@pytest.mark.parametrize(
    ("found", "key", "message"),
    [
        ("select 1 as other", ["n"], "no column n"),
        ("select 1 as n", [], "no column in the key"),
        ("select {'a': 1} as n", ["n"], "lists, found n of type STRUCT"),
    ],
)
def test_what_cannot_be_compared_is_refused(found: str, key: list[str], message: str) -> None:
    with duckdb.connect() as con, pytest.raises(DiffError, match=message):
        compare(con, "select 1 as n", found, key)
