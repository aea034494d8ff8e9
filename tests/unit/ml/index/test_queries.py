"""The index answers about what is not part of it, the same as it would have of a sale, and is not moved by it."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from ml.index.queries import index_at, sale_queries
from ml.index.tables import IndexInputError
from ml.index.update import update_index
from tests.unit.ml.features.market import make_sales, write_marts
from tests.unit.ml.index.oracle import SMALL_WINDOW

OUTPUTS = [f"{v}_{part}" for v in "ab" for part in ("mean", "level", "trait", "token", "sd", "level_sd")]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    write_marts(con, make_sales())
    update_index(con, params=SMALL_WINDOW)
    return con


def test_a_sale_asked_about_again_gets_its_stored_row(con: duckdb.DuckDBPyConnection) -> None:
    sale_queries(con, "asked", "seq is not null")
    index_at(con, "asked", "answers", params=SMALL_WINDOW, chunk_entries=100)
    found = con.execute("select * from answers order by sale_id").df()
    stored = con.execute("select * from features.hedonic_index order by sale_id").df()
    pd.testing.assert_series_equal(found.prefix, stored.prefix)
    pd.testing.assert_frame_equal(found[OUTPUTS], stored[OUTPUTS], atol=1e-8, rtol=0)
    assert found.a_mean.notna().sum() > 80


def test_questions_change_no_stored_number(con: duckdb.DuckDBPyConnection) -> None:
    tables = ("hedonic_index", "token_index", "index_state")
    before = {t: con.execute(f"select * from features.{t} order by all").df() for t in tables}
    sale_queries(con, "asked", "collection = 'c0'")
    index_at(con, "asked", "answers", params=SMALL_WINDOW)
    for table in tables:
        pd.testing.assert_frame_equal(
            con.execute(f"select * from features.{table} order by all").df(), before[table]
        )
    assert update_index(con, params=SMALL_WINDOW).collections == 0


def test_an_answer_does_not_depend_on_what_else_is_asked(con: duckdb.DuckDBPyConnection) -> None:
    sale_queries(con, "asked", "true")
    index_at(con, "asked", "together", params=SMALL_WINDOW)
    con.execute("create temp table one as select * from asked where sale_id = 's50'")
    index_at(con, "one", "alone", params=SMALL_WINDOW)
    alone = con.execute("select * from alone").df()
    together = con.execute("select * from together where sale_id = 's50'").df()
    pd.testing.assert_frame_equal(alone, together, atol=1e-8, rtol=0)


def test_a_sale_that_is_not_at_arms_length_sees_what_came_before_it_and_not_its_own_transaction() -> None:
    sales = make_sales(sizes=(40,))
    con = duckdb.connect()
    write_marts(con, sales)
    shared = con.execute(
        "select sale_id, tx_hash from marts.fct_sales "
        "where tx_hash in (select tx_hash from marts.fct_sales group by 1 having count(*) > 1) order by seq"
    ).df()
    odd = shared.sale_id.iloc[-1]
    # Taken out of the known order, as the marts do with a wash sale.
    con.execute("update marts.fct_sales set seq = null where sale_id = ?", [odd])
    con.execute(
        "update marts.fct_sales set seq = r.n from (select sale_id, row_number() over (order by seq) as n "
        "from marts.fct_sales where seq is not null) as r where fct_sales.sale_id = r.sale_id"
    )
    update_index(con, params=SMALL_WINDOW)
    sale_queries(con, "asked", "seq is null")
    index_at(con, "asked", "answers", params=SMALL_WINDOW)
    row = con.execute("select prefix, a_mean, as_of from answers").fetchone()
    assert row is not None
    visible = con.execute(
        "select count(*) from marts.fct_sales where seq is not null and known_at < ? and tx_hash != ?",
        [row[2], shared.tx_hash.iloc[-1]],
    ).fetchone()
    assert visible is not None
    assert row[0] == visible[0]
    assert row[1] is not None


def test_an_index_that_is_behind_is_named(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "create temp table asked as select 'c1' as collection, '0' as token_id, timestamp '2025-01-01' as as_of, "
        "26 as prefix"
    )
    with pytest.raises(IndexInputError, match="collection 'c1': a query sees 26 sales"):
        index_at(con, "asked", "answers", params=SMALL_WINDOW)
