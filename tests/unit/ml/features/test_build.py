"""Features are what was visible just before, from one construction, however the tables came to be."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.features import build as features
from ml.features.build import ScoringTimeError, build_token_features, update_sale_features
from ml.features.schema import FEATURES
from ml.index.update import update_index
from tests.unit.ml.features.market import make_listings, make_sales, make_traits, write_marts
from tests.unit.ml.features.oracle import Oracle

pytestmark = pytest.mark.slow

NOW = datetime(2024, 4, 10)  # noqa: DTZ001
NAMES = [feature.name for feature in FEATURES]


def build(sales: pd.DataFrame, **marts: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    write_marts(con, sales, **marts)
    update_index(con)
    update_sale_features(con)
    return con


def sale_features(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return con.execute("select * from features.sale_features order by collection, seq").df()


def assert_features_equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, atol=1e-5, rtol=1e-5)


def test_sale_features_agree_with_a_slow_reading_of_what_was_visible() -> None:
    sales, listings = make_sales(sizes=(130, 25, 8, 2)), make_listings()
    con = build(sales, listings=listings)
    found = sale_features(con)
    oracle = Oracle(con, sales, listings)
    assert len(found) == oracle.sales.a_mean.notna().sum()
    assert found.ask_gap.notna().sum() > 20
    spine = oracle.sales.set_index("sale_id")
    row: Any  # pandas knows no types of its rows
    for row in found.itertuples():
        sale: Any = spine.loc[row.sale_id]
        expected = oracle.features(sale, sale.tx_hash)
        assert set(expected) == set(NAMES)
        pd.testing.assert_series_equal(
            pd.Series({name: float(getattr(row, name)) for name in NAMES}, name=row.sale_id),
            pd.Series({name: float(expected[name]) for name in NAMES}, name=row.sale_id),
            atol=2e-5,
        )
        np.testing.assert_allclose(row.target_log, np.log(sale.price_eth))


def test_token_features_are_what_a_sale_at_that_time_would_have_seen() -> None:
    """Both spines are one construction: a token's row equals the row of a sale planted at the scoring time."""
    sales = make_sales()
    con = build(sales)
    build_token_features(con, NOW)
    tokens = con.execute("select * from features.token_features").df().set_index(["collection", "token_id"])
    holdings = con.execute("select collection, token_id, owner from marts.fct_holdings").fetchall()
    held = {(collection, token): owner for collection, token, owner in holdings}
    assert len(tokens) == con.execute("select count(*) from features.token_index").fetchone()[0]
    for collection, token in (("c0", "3"), ("c1", "7"), ("c2", "1"), ("c0", "14")):
        planted = pd.DataFrame(
            {
                "collection": collection, "token_id": token, "tx_hash": "new", "event_time": [pd.Timestamp(NOW)],
                "time_uncertainty_s": 0.0, "price_eth": 1.0, "known_at": pd.Timestamp(NOW), "sale_id": "new",
                "seller": held.get((collection, token)), "buyer": "new",
            }
        )  # fmt: skip
        asked = build(pd.concat([sales, planted], ignore_index=True))
        row = asked.execute("select * from features.sale_features where sale_id = 'new'").df().iloc[0]
        if (collection, token) not in tokens.index:
            continue
        expected: Any = tokens.loc[(collection, token)]
        np.testing.assert_allclose(
            row[["base_log", *NAMES]].astype(float), expected[["base_log", *NAMES]].astype(float), atol=2e-5
        )


@pytest.mark.parametrize("rows", [1, 60])
def test_features_do_not_depend_on_how_many_rows_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Names of collections are constants of the statement: one has an apostrophe, one a brace."""
    names = {"c0": "it's {c0}", "c1": "{", "c2": "é"}
    sales, listings, traits = make_sales(), make_listings(), make_traits()
    for table in (sales, listings, traits):
        table["collection"] = table["collection"].replace(names)
    tables = []
    for at_once in (features.CHUNK_ROWS, rows):
        monkeypatch.setattr(features, "CHUNK_ROWS", at_once)
        con = build(sales, listings=listings, traits=traits)
        report = build_token_features(con, NOW)
        tokens = con.execute("select * from features.token_features order by collection, token_id").df()
        assert report.rows_written == len(tokens)
        assert set(tokens.collection) == set(names.values())
        tables.append((sale_features(con), tokens))
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_planted_future_changes_nothing_before_it() -> None:
    sales, listings = make_sales(), make_listings()
    before = sale_features(build(sales, listings=listings))
    moment = pd.Timestamp("2024-02-15")
    future = sales[sales.known_at >= moment].copy()
    future["price_eth"] *= 50
    offers = listings.copy()
    offers.loc[offers.known_at >= moment, "price_eth"] *= 50
    after = sale_features(build(pd.concat([sales[sales.known_at < moment], future]), listings=offers))
    columns = ["sale_id", "base_log", *NAMES]
    visible = before.as_of < moment
    assert visible.sum() > 20
    pd.testing.assert_frame_equal(before[visible][columns], after[after.as_of < moment][columns], atol=1e-9)


def test_a_sibling_of_the_same_transaction_is_never_seen() -> None:
    """Even when the sibling was reported earlier, and whatever it cost."""
    sales = make_sales(sizes=(30,))
    sales["time_uncertainty_s"] = 0.0
    sales["known_at"] = sales["event_time"] = pd.date_range("2024-01-01", periods=30, freq="D")
    sales.loc[21, "tx_hash"] = sales.loc[20, "tx_hash"]
    dear = sales.copy()
    dear.loc[20, "price_eth"] *= 100
    one: Any = sale_features(build(sales)).set_index("sale_id").loc["s21"]
    other: Any = sale_features(build(dear)).set_index("sale_id").loc["s21"]
    assert one.prefix == 20
    pd.testing.assert_series_equal(one[NAMES], other[NAMES])


def test_day_by_day_with_late_rows_equals_at_once() -> None:
    sales = make_sales()
    con = duckdb.connect()
    for until in pd.date_range("2024-01-10", "2024-04-05", periods=5):
        write_marts(con, sales[sales.known_at < until].drop(index=[10, 40], errors="ignore"))
        update_index(con)
        update_sale_features(con)
    write_marts(con, sales)
    update_index(con)
    report = update_sale_features(con)
    assert report.collections == 1
    assert 20 < report.rows_written < 60
    assert_features_equal(sale_features(con), sale_features(build(sales)))
    gone = sales[sales.collection != "c1"]
    write_marts(con, gone, traits=make_traits(("c0",)))
    update_index(con)
    update_sale_features(con)
    assert_features_equal(sale_features(con), sale_features(build(gone, traits=make_traits(("c0",)))))


def test_unchanged_collections_keep_the_time_they_were_scored_for() -> None:
    sales = make_sales()
    con = build(sales[(sales.collection != "c0") | (sales.known_at < "2024-03-20")])
    build_token_features(con, datetime(2024, 4, 8))  # noqa: DTZ001
    write_marts(con, sales)
    update_index(con)
    assert build_token_features(con, NOW, only_changed=True).collections == 1
    times = dict(
        con.execute("select collection, max(as_of) from features.token_features group by 1").fetchall()
    )
    assert times["c0"] == NOW
    assert times["c1"] < NOW
    assert build_token_features(con, NOW, only_changed=False).collections == 4
    fresh = build(sales)
    build_token_features(fresh, NOW)
    query = "select * from features.token_features order by collection, token_id"
    assert_features_equal(con.execute(query).df(), fresh.execute(query).df())


def test_scoring_in_the_past_is_refused() -> None:
    con = build(make_sales())
    with pytest.raises(ScoringTimeError, match="pass a later as_of"):
        build_token_features(con, datetime(2024, 2, 1))  # noqa: DTZ001
