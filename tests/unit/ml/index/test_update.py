"""The stored index after any history of updates is the one a single update would have written."""

from __future__ import annotations

import dataclasses
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.index.params import IndexParams
from ml.index.tables import IndexInputError
from ml.index.update import update_index
from tests.unit.ml.features.market import make_sales, make_traits, write_marts
from tests.unit.ml.index.oracle import SMALL_WINDOW, Collection, Oracle

TABLES = {
    "hedonic_index": "collection, seq",
    "token_index": "collection, token_id",
    "index_state": "collection",
}


def contents(con: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    return {t: con.execute(f"select * from features.{t} order by {keys}").df() for t, keys in TABLES.items()}


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for table in TABLES:
        pd.testing.assert_frame_equal(found[table], expected[table], atol=1e-8, rtol=1e-6)


def at_once(
    sales: pd.DataFrame, params: IndexParams = SMALL_WINDOW, **marts: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    con = duckdb.connect()
    write_marts(con, sales, **marts)
    update_index(con, params=params)
    return contents(con)


def test_day_by_day_equals_at_once() -> None:
    sales = make_sales()
    con = duckdb.connect()
    for until in pd.date_range("2024-01-10", "2024-04-05", periods=6):
        write_marts(con, sales[sales.known_at < until])
        update_index(con, params=SMALL_WINDOW, chunk_entries=100)
    assert_same(contents(con), at_once(sales))


def test_a_collection_that_starts_with_one_sale() -> None:
    """Its y0 is not final before the third: every noise found until then has to be found again."""
    sales = make_sales(sizes=(30,))
    con = duckdb.connect()
    for known in (1, 2, 3, 5, 30):
        write_marts(con, sales.head(known))
        update_index(con, params=SMALL_WINDOW)
    assert_same(contents(con), at_once(sales))


def test_rows_ingested_late_shift_the_order_and_the_tail_is_computed_again() -> None:
    sales = make_sales()
    con = duckdb.connect()
    write_marts(con, sales.drop(index=[10, 11, 40, 70]))
    update_index(con, params=SMALL_WINDOW)
    write_marts(con, sales)
    report = update_index(con, params=SMALL_WINDOW)
    assert report.collections == 2
    assert_same(contents(con), at_once(sales))


def test_corrected_removed_and_vanished_sales() -> None:
    sales = make_sales()
    con = duckdb.connect()
    write_marts(con, sales)
    update_index(con, params=SMALL_WINDOW)
    changed = sales.copy()
    changed.loc[20, "price_eth"] *= 3
    changed = changed.drop(index=[59, 75])
    changed = changed[changed.collection != "c2"]
    write_marts(con, changed)
    assert update_index(con, params=SMALL_WINDOW).removed_collections == 1
    assert_same(contents(con), at_once(changed))


def test_nothing_new_writes_nothing_and_new_parameters_or_traits_write_everything() -> None:
    sales = make_sales()
    con = duckdb.connect()
    write_marts(con, sales)
    update_index(con, params=SMALL_WINDOW)
    assert update_index(con, params=SMALL_WINDOW).collections == 0
    other = dataclasses.replace(SMALL_WINDOW, min_information=0.5)
    assert update_index(con, params=other).collections == 4
    assert_same(contents(con), at_once(sales, other))
    fewer = make_traits(("c0", "c1"))
    write_marts(con, sales, traits=fewer)
    update_index(con, params=other)
    assert_same(contents(con), at_once(sales, other, traits=fewer))


def test_stored_rows_are_the_definition_with_visibility_found_independently() -> None:
    sales = make_sales()
    stored = at_once(sales)
    rows = stored["hedonic_index"].merge(
        sales[["sale_id", "tx_hash", "event_time", "price_eth"]], on="sale_id"
    )
    con = duckdb.connect()
    write_marts(con, sales)
    for name, part in rows.sort_values("seq").groupby("collection"):
        tokens = con.execute(
            "select * from marts.dim_tokens where collection = ? order by token_id", [name]
        ).df()
        number = {token: i for i, token in enumerate(tokens.token_id)}
        types = max(len(codes) for codes in tokens.trait_codes)
        codes, weights = np.full((len(tokens), types), -1), np.zeros((len(tokens), types))
        for i, (own, information) in enumerate(
            zip(tokens.trait_codes, tokens.trait_information, strict=True)
        ):
            if len(own):
                codes[i], weights[i] = own, np.sqrt(np.maximum(information, 0.05))

        def days(times: pd.Series) -> np.ndarray:
            return (times.astype("datetime64[us]").astype("int64") / 86400e6).to_numpy()

        seen = [
            int(((part.known_at < row.as_of) & (part.tx_hash != row.tx_hash)).sum())
            for row in part.itertuples()
        ]
        np.testing.assert_array_equal(part.prefix, seen)
        token = np.array([number[t] for t in part.token_id])
        c = Collection(
            days(part.event_time), days(part.as_of), np.log(part.price_eth.to_numpy()), token, np.array(seen),
            codes, weights, 0.0,
        )  # fmt: skip
        if len(part) < 3:
            assert part.a_mean.isna().all()
            continue
        oracle = Oracle(c, SMALL_WINDOW)
        row: Any  # pandas knows no types of its rows
        for i, row in enumerate(part.itertuples()):
            if seen[i] < 3:
                assert np.isnan(row.a_mean)
                continue
            mean, var, level, own, _ = oracle.predict(0, seen[i], token[i], c.query_day[i])
            np.testing.assert_allclose(
                [row.a_mean, row.a_sd, row.a_level, row.a_token], [mean, np.sqrt(var), level, own], atol=1e-8
            )


def test_broken_marts_are_named() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    con.execute("update marts.fct_sales set seq = seq + 1 where collection = 'c1' and seq > 5")
    with pytest.raises(IndexInputError, match="collection 'c1': expected seq"):
        update_index(con)
