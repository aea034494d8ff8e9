"""The declared rules of the features: good rows pass, bad ones are shown with their keys and set aside."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from lake.tables import create_missing
from ml.features.build import build_token_features
from ml.features.tables import SALE_FEATURES, TOKEN_FEATURES
from ml.tables.ops import SET_ASIDE
from ml.tables.set_aside import set_aside
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
    create_missing(con, [SET_ASIDE])
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


def test_a_collection_whose_rows_break_a_rule_is_set_aside_and_the_others_stay(
    con: duckdb.DuckDBPyConnection,
) -> None:
    collections = {
        row[0] for row in con.execute("select distinct collection from features.sale_features").fetchall()
    }
    assert set_aside(con, SALE_FEATURES, NOW) == 0
    (bad,) = con.execute("select collection from features.sale_features where sale_id = 's30'").fetchone()
    con.execute("update features.sale_features set own_sales = -1 where sale_id = 's30'")
    assert set_aside(con, SALE_FEATURES, NOW) == 1
    assert find(con, "sale_features_match_schema").passed
    left = {
        row[0] for row in con.execute("select distinct collection from features.sale_features").fetchall()
    }
    assert left == collections - {bad}
    (record,) = con.execute(f"select * exclude (as_of) from {SET_ASIDE.name}").fetchall()
    assert record[:5] == (SALE_FEATURES.name, bad, 1, "own_sales", "-1.0")
    assert record[5].startswith("a number from ")


def test_a_record_ends_when_the_collection_keeps_the_rules_again(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table kept as from features.token_features")
    con.execute("update features.token_features set base_log = 40")
    assert set_aside(con, TOKEN_FEATURES, NOW) >= 1
    assert con.execute("select count(*) from features.token_features").fetchone() == (0,)
    assert set_aside(con, TOKEN_FEATURES, NOW) == 0, "nothing new"
    assert con.execute(f"select count(*) from {SET_ASIDE.name}").fetchone() > (0,), "still set aside"
    con.execute("insert into features.token_features from kept")
    assert set_aside(con, TOKEN_FEATURES, NOW) == 0
    assert con.execute(f"select count(*) from {SET_ASIDE.name}").fetchone() == (0,)
