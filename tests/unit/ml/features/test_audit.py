"""A sale outside the index is seen exactly as one inside it would be."""

from __future__ import annotations

import duckdb
import pandas as pd

from ml.features.audit import audit_features
from ml.features.build import update_sale_features
from ml.features.schema import FEATURES
from ml.index.update import update_index
from tests.unit.ml.features.market import make_sales, write_marts


def test_an_arms_length_sale_has_the_features_that_are_stored() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    update_index(con)
    update_sale_features(con)
    names = [feature.name for feature in FEATURES]
    rows = audit_features(con, "audited", "seq is not null")
    found = con.execute("select * from audited order by sale_id").df()
    stored = con.execute("select * from features.sale_features order by sale_id").df()
    assert rows == len(stored) > 80
    pd.testing.assert_frame_equal(found[["base_log", *names]], stored[["base_log", *names]], atol=1e-6)


def test_nothing_chosen_is_an_empty_table_with_every_column() -> None:
    con = duckdb.connect()
    write_marts(con, make_sales())
    update_index(con)
    update_sale_features(con)
    assert audit_features(con, "audited", "seq is null") == 0
    columns = {row[0] for row in con.execute("describe audited").fetchall()}
    assert {"sale_id", "base_log", *(feature.name for feature in FEATURES)} <= columns
