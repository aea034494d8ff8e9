"""In whatever portions and order sales are ingested, the index ends where one update would."""

from __future__ import annotations

import duckdb
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.index.update import update_index
from tests.unit.ml.features.market import make_sales, write_marts
from tests.unit.ml.index.oracle import SMALL_WINDOW

NUMBERS = "a_mean, a_level, a_token, a_sd, b_mean, noise_a, noise_b, prefix"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1000), order=st.lists(st.integers(0, 3), min_size=63, max_size=63))
def test_any_order_of_ingestion(seed: int, order: list[int]) -> None:
    sales = make_sales(seed, sizes=(40, 20, 3))
    portions = np.array(order)
    con = duckdb.connect()
    for portion in range(4):
        write_marts(con, sales[portions <= portion])
        update_index(con, params=SMALL_WINDOW)
    once = duckdb.connect()
    write_marts(once, sales)
    update_index(once, params=SMALL_WINDOW)
    query = f"select sale_id, {NUMBERS} from features.hedonic_index order by sale_id"
    found, expected = con.execute(query).df(), once.execute(query).df()
    assert list(found.sale_id) == list(expected.sale_id)
    np.testing.assert_allclose(found.iloc[:, 1:], expected.iloc[:, 1:], atol=1e-8)
