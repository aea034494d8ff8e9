"""A backtest gives every sale the estimate that production would have made then, also when it was interrupted."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.backtest.backtest import BacktestConfig, EmptyWindowError, backtest
from ml.backtest.data import Window
from ml.features.build import update_sale_features
from ml.index.update import update_index
from ml.ledger.ledger import LEDGER_SCHEMA
from ml.models.local import LocalConfig
from ml.models.prior import PriorConfig, ScaleConfig
from ml.training.candidate import CandidateConfig
from ml.training.pooled import PooledConfig
from ml.training.walk_forward import WalkForwardConfig
from tests.unit.ml.features.market import make_sales, write_marts

START, LATER, END = (datetime(2024, *day) for day in ((2, 20), (3, 12), (3, 22)))  # noqa: DTZ001
CONFIG = BacktestConfig(
    refit_days=10.0,
    pooled=PooledConfig(
        walk_forward=WalkForwardConfig(
            refits=2, prior=PriorConfig(iterations=30), scale=ScaleConfig(iterations=20)
        )
    ),
    candidate=CandidateConfig(local=LocalConfig(iterations=20), min_sales=120),
)


def market_sales() -> pd.DataFrame:
    """Two traded collections, small ones, one (`c3`) that is first seen inside the window, and wash sales."""
    sales = make_sales(seed=5, sizes=(420, 150, 60, 30), tokens=15)
    young = sales.collection == "c3"
    first = pd.Timestamp("2024-02-25")
    for column in ("event_time", "known_at"):
        sales.loc[young, column] = first + (sales.loc[young, column] - pd.Timestamp("2024-01-01")) / 4
    sales["is_wash"] = (np.arange(len(sales)) % 13 == 5) & ~young
    sales.loc[sales.is_wash, "price_eth"] *= 6.0
    return sales


def built(sales: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    write_marts(con, sales)
    update_index(con)
    update_sale_features(con)
    return con


def walk(con: duckdb.DuckDBPyConnection, root: Path, end: datetime = END, **options: Any) -> pd.DataFrame:
    table = backtest(con, root, Window(START, end), CONFIG, **options)
    assert con.execute(f"select * from {table}").to_arrow_table().schema == LEDGER_SCHEMA
    return con.execute(f"select * from {table}").df()


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return built(market_sales())


@pytest.fixture(scope="module")
def ledger(con: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return walk(con, tmp_path_factory.mktemp("parts"))


def test_every_sale_of_the_window_has_one_row_clean_or_not(
    con: duckdb.DuckDBPyConnection, ledger: pd.DataFrame
) -> None:
    expected = con.execute(
        "select sale_id from marts.fct_sales where as_of >= ? and as_of < ? and known_at < ?",
        [START, END, END],
    ).df()
    assert sorted(ledger.sale_id) == sorted(expected.sale_id)
    wash = ledger[ledger.is_wash]
    assert len(wash) > 5
    assert not wash.is_arms_length.any()
    assert wash.estimate_eth.notna().all()


def test_estimates_come_with_intervals_tier_version_and_baselines(ledger: pd.DataFrame) -> None:
    valued = ledger[ledger.tier != "none"]
    assert (valued.estimate_eth > 0).all()
    assert valued.no_value_reason.isna().all()
    assert set(valued.tier) <= {"own_model", "pooled", "index_rarity"}
    assert "pooled" in set(valued.tier)
    bounded = valued[valued.lower_eth.notna()]
    assert len(bounded) > 0.6 * len(valued)
    assert (bounded.lower_90_eth <= bounded.lower_eth).all()
    assert (bounded.upper_eth <= bounded.upper_90_eth).all()
    assert set(bounded.grade) <= {"A", "B", "C", "D"}
    versions = {version for version in valued.model_version if not version.endswith("@0")}
    assert versions
    assert all("@bt2024-" in version for version in versions)
    assert (
        valued[["p20_50_eth", "med_30_eth", "med_5_eth", "last_index_eth", "premium_tier"]]
        .notna()
        .all(axis=None)
    )
    clean = valued[valued.is_arms_length]
    assert ((clean.estimate_eth / clean.price_eth - 1).abs().median()) < 0.6


def test_a_collection_first_seen_inside_the_window_climbs_the_tiers(ledger: pd.DataFrame) -> None:
    young = ledger[ledger.collection == "c3"]
    assert set(young[young.sales_seen < 3].no_value_reason) == {"fewer_than_3_sales"}
    assert young[young.sales_seen < 3].estimate_eth.isna().all()
    assert set(young[young.sales_seen.between(3, 7)].tier) == {"index_rarity"}
    assert "pooled" in set(young[young.sales_seen >= 8].tier)


def test_what_happens_later_changes_no_earlier_row(ledger: pd.DataFrame, tmp_path: Path) -> None:
    sales = market_sales()
    shorter = walk(built(sales[sales.known_at < LATER]), tmp_path)
    longer = ledger[ledger.known_at < LATER].reset_index(drop=True)
    assert len(shorter) > 60
    pd.testing.assert_frame_equal(shorter, longer, rtol=1e-6)


def test_interrupted_and_run_again_it_gives_the_same_rows_and_repeats_no_finished_period(
    con: duckdb.DuckDBPyConnection, ledger: pd.DataFrame, tmp_path: Path
) -> None:
    def stop_after_two(message: str) -> None:
        if message.startswith("2024-03-01"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        walk(con, tmp_path, say=stop_after_two)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/period-*")}
    assert len(finished) == 4
    lines: list[str] = []
    pd.testing.assert_frame_equal(walk(con, tmp_path, say=lines.append), ledger)
    assert lines[0].startswith("2 of 4 refit periods")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_interrupted_and_without_its_models_it_begins_again(
    con: duckdb.DuckDBPyConnection, ledger: pd.DataFrame, tmp_path: Path
) -> None:
    def stop_after_two(message: str) -> None:
        if message.startswith("2024-03-01"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        walk(con, tmp_path, say=stop_after_two)
    shutil.rmtree(next(tmp_path.glob("*/artifacts")))
    lines: list[str] = []
    pd.testing.assert_frame_equal(walk(con, tmp_path, say=lines.append), ledger)
    assert lines[0].startswith("beginning again")


def test_another_question_does_not_take_these_parts_for_an_answer(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    walk(con, tmp_path, end=LATER)
    only = Window(START, LATER, ("c3",))
    table = backtest(con, tmp_path, only, CONFIG)
    assert con.execute(f"select distinct collection from {table}").fetchall() == [("c3",)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_window_without_sales_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    nothing = Window(datetime(2030, 1, 1), datetime(2030, 2, 1))  # noqa: DTZ001
    with pytest.raises(EmptyWindowError, match="found none"):
        backtest(con, tmp_path, nothing, CONFIG)
