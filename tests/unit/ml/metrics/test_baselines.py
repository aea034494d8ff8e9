from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ml.metrics.baselines import MisalignedRowsError, baseline_logs

DAY_0 = datetime(2022, 1, 1)  # noqa: DTZ001 - the lake's naive UTC


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Three sales of one collection; the second and third share a transaction, hence a time."""
    con = duckdb.connect()
    con.execute("create schema features")
    con.execute("create schema marts")
    sales = [("s1", "a", 1, 0, 2.0), ("s2", "b", 2, 1, 3.0), ("s3", "a", 3, 1, 4.0), ("s4", "a", 4, 2, 5.0)]
    table = pa.table(
        {
            "sale_id": [row[0] for row in sales],
            "collection": ["c"] * 4,
            "token_id": [row[1] for row in sales],
            "seq": [row[2] for row in sales],
            "known_at": [DAY_0 + timedelta(days=row[3]) for row in sales],
            "as_of": [DAY_0 + timedelta(days=row[3]) for row in sales],
            "price_eth": [row[4] for row in sales],
            "is_arms_length": [True] * 4,
        }
    )
    con.register("sales", table)
    con.execute("create table features.sale_features as select * from sales")
    con.execute("create table marts.fct_sales as select * from sales")
    con.execute(
        """
        create table marts.fct_collection_state as
        select collection, seq, known_at, price_eth as p20_50, price_eth * 2 as med_30, price_eth * 3 as med_5
        from sales
        """
    )
    return con


def test_a_baseline_sees_strictly_earlier_sales_and_never_its_own_transaction(
    con: duckdb.DuckDBPyConnection,
) -> None:
    found = baseline_logs(con, pa.array(["s1", "s2", "s3", "s4"]))
    np.testing.assert_allclose(np.exp(found["p20_50"]), [np.nan, 2.0, 2.0, 4.0])
    np.testing.assert_allclose(np.exp(found["med_5"]), [np.nan, 6.0, 6.0, 12.0])


def test_last_sale_moves_with_the_market_and_falls_back_to_the_median(con: duckdb.DuckDBPyConnection) -> None:
    found = np.exp(baseline_logs(con, pa.array(["s1", "s2", "s3", "s4"]))["last_index"])
    # s2's token never sold: median of 30. s3: its sale at 2 under median 4, median now 4. s4: 4 under 8, now 8.
    np.testing.assert_allclose(found, [np.nan, 4.0, 2.0, 4.0])


def test_other_rows_than_expected_are_refused(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(MisalignedRowsError, match="one snapshot"):
        baseline_logs(con, pa.array(["s1", "s2"]))
