"""The check of the floor fails where only the values can be wrong, and names the reason everywhere else."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pytest

from lake.tables import create_missing
from ml.tables.registry import TABLES
from orchestration.checks.definition import CheckContext, Finding
from orchestration.checks.factory import judge
from orchestration.predictions.checks import FEW_ASKS, PREDICTIONS, SALES_BELOW, VALUES_LOW

NOW = datetime(2026, 3, 2)  # noqa: DTZ001 - the lake keeps naive UTC


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(config={"threads": 1})
    create_missing(con, TABLES)
    yield con
    con.close()


def value(
    con: duckdb.DuckDBPyConnection, collection: str, eth: float, *, asks: int, last_sales: float
) -> None:
    """Fifty tokens of one value, in a collection whose lowest live ask is 1 ETH."""
    con.execute(
        """
        insert into predictions.token_estimates by name
        select $1 as collection, i::varchar as token_id, $2::double as estimate_eth, 1.0 as lowest_ask_eth,
            $3::timestamp as lowest_ask_at, $4::bigint as live_asks
        from range(50) as t (i)
        """,
        [collection, eth, NOW - timedelta(hours=1), asks],
    )
    con.execute(
        """
        insert into marts.fct_collection_state by name
        select $1 as collection, seq, $3::timestamp - to_days(3 - seq::int) as known_at,
            $3::timestamp - to_days(3 - seq::int) as event_time, if(seq = 2, $2::double, 9.0) as med_5,
            0.0 as last_price_eth, 0.0 as med_10, 0.0 as med_30, 0.0 as med_100, 0.0 as p20_20, 0.0 as p20_50,
            0.0 as p10_50, 0.0 as p80_50, 0.0 as min_10
        from range(1, 3) as t (seq)
        """,
        [collection, last_sales, NOW],
    )


def find(con: duckdb.DuckDBPyConnection) -> Finding:
    (check,) = [check for check in PREDICTIONS if check.name == "values_are_above_the_floor"]
    return judge(check, CheckContext(con, NOW))


def test_without_an_ask_nothing_is_judged(con: duckdb.DuckDBPyConnection) -> None:
    found = find(con)
    assert found.passed
    assert "nothing to compare" in found.note


def test_values_near_or_above_the_floor_pass(con: duckdb.DuckDBPyConnection) -> None:
    value(con, "apes", 0.91, asks=40, last_sales=1.2)
    value(con, "birds", 3.0, asks=1, last_sales=0.2)
    found = find(con)
    assert (found.passed, found.numbers["share_below_floor"], found.note) == (True, 0.0, "")


@pytest.mark.parametrize(
    ("reason", "asks", "last_sales"), [(FEW_ASKS, 9, 1.2), (SALES_BELOW, 40, 0.99), (VALUES_LOW, 10, 1.0)]
)
def test_the_reason_is_named_and_only_values_that_nothing_explains_fail(
    con: duckdb.DuckDBPyConnection, reason: str, asks: int, last_sales: float
) -> None:
    value(con, "apes", 0.5, asks=asks, last_sales=last_sales)
    value(con, "birds", 2.0, asks=40, last_sales=1.5)
    found = find(con)
    assert found.passed == (reason != VALUES_LOW)
    assert found.numbers["share_below_floor"] == 0.5
    assert found.note == f"50 tokens below the floor: {reason}"
    assert found.rows is not None
    assert found.rows["collection"].tolist() == ["apes"]


def test_one_collection_in_fifty_is_not_a_failure(con: duckdb.DuckDBPyConnection) -> None:
    value(con, "apes", 0.5, asks=40, last_sales=1.5)
    for number in range(20):
        value(con, f"c{number}", 2.0, asks=40, last_sales=1.5)
    assert find(con).passed
