"""The declared rules of the features: good rows pass, bad ones are shown with their keys."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from ml.features.build import build_token_features
from orchestration.checks.definition import CheckContext, Finding
from orchestration.checks.factory import judge
from orchestration.features.checks import FEATURES
from tests.unit.ml.features.market import make_sales
from tests.unit.ml.features.test_build import build

NOW = datetime(2024, 4, 10)  # noqa: DTZ001
CHECKS = {check.name: check for check in FEATURES}


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = build(make_sales())
    build_token_features(con, NOW)
    return con


def find(con: duckdb.DuckDBPyConnection, name: str) -> Finding:
    return judge(CHECKS[name], CheckContext(con, NOW))


def spoil(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update features.sale_features set med_5_gap = null where sale_id = 's20'")
    con.execute("update features.sale_features set own_sales = -1 where sale_id = 's30'")
    con.execute("update features.sale_features set a_sd = 'nan' where sale_id = 's31'")


def test_good_features_pass_and_bad_ones_are_shown_with_their_keys(con: duckdb.DuckDBPyConnection) -> None:
    assert find(con, "sale_features_match_schema").passed
    assert find(con, "token_features_match_schema").passed
    spoil(con)
    con.execute(
        "insert into features.sale_features select * from features.sale_features where sale_id = 's40'"
    )
    found = find(con, "sale_features_match_schema")
    assert (found.passed, found.numbers["offending_rows"], found.numbers["repeated_keys"]) == (False, 3, 1)
    assert found.rows is not None
    assert {(row.column, row.sale_id) for row in found.rows.itertuples() if isinstance(row.column, str)} >= {
        ("med_5_gap", "s20"),
        ("own_sales", "s30"),
    }
