"""The interval of a sum knows that errors move together; tokens without a value are listed and not counted."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.portfolio.interval import METHOD_BOUNDS, METHOD_RISK, METHOD_TOKEN
from ml.portfolio.past import back_test, read_risk, record_portfolio_risk
from ml.portfolio.risk import (
    ALL_MARKETS,
    PortfolioRisk,
    RiskConfig,
    estimate_risk,
    log_variance,
    sum_interval,
)
from ml.portfolio.valuation import tokens_of, value_portfolio
from ml.tables.registry import TABLES

NOW = datetime(2022, 6, 1)  # noqa: DTZ001 - the lake's naive UTC
CONFIG = RiskConfig()
TRUE = PortfolioRisk(
    variance=0.6, same_collection=0.25, other_collections=0.1, quantile_80=1.2816, portfolios=0
)


def errors(rng: np.random.Generator, collection: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Log errors of the tokens of one portfolio with the components of `TRUE`."""
    market = rng.normal() * np.sqrt(TRUE.other_collections)
    shared = rng.normal(size=collection.max() + 1) * np.sqrt(TRUE.same_collection - TRUE.other_collections)
    own = rng.normal(size=len(half)) * np.sqrt(TRUE.variance - TRUE.same_collection)
    return half * (market + shared[collection] + own)


def history(rng: np.random.Generator, portfolios: int) -> dict[str, np.ndarray]:
    """Sales of many portfolios of five to thirty tokens in three collections each."""
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("error", "half", "median", "collection", "portfolio")
    }
    for number in range(portfolios):
        n = int(rng.integers(5, 30))
        collection, half = rng.integers(0, 3, size=n), rng.uniform(0.1, 0.4, size=n)
        parts["error"].append(errors(rng, collection, half))
        parts["half"].append(half)
        parts["median"].append(np.exp(rng.normal(size=n)))
        parts["collection"].append(collection)
        parts["portfolio"].append(np.full(n, number))
    return {name: np.concatenate(values) for name, values in parts.items()}


def smeared(median: np.ndarray, half: np.ndarray) -> np.ndarray:
    """The mean of a log-normal price with this median."""
    return median * np.exp(TRUE.variance * half**2 / 2)


def test_components_of_a_made_up_market_are_found_again() -> None:
    past = history(np.random.default_rng(1), 1500)
    price = past["median"] * np.exp(past["error"])
    expected = smeared(past["median"], past["half"])
    found = estimate_risk(
        expected, price, past["error"], past["half"], past["collection"], past["portfolio"], CONFIG
    )
    assert found is not None
    assert found.variance == pytest.approx(TRUE.variance, rel=0.1)
    assert found.same_collection == pytest.approx(TRUE.same_collection, rel=0.2)
    assert found.other_collections == pytest.approx(TRUE.other_collections, rel=0.3)
    assert found.quantile_80 == pytest.approx(1.2816, rel=0.1)
    assert found.portfolios == 1500


@pytest.mark.parametrize("n", [2, 10, 100, 1500])
def test_the_interval_of_a_sum_holds_eighty_of_a_hundred_draws(n: int) -> None:
    rng = np.random.default_rng(n)
    collection, half = rng.integers(0, 3, size=n), rng.uniform(0.1, 0.4, size=n)
    median = np.exp(rng.normal(scale=0.5, size=n))
    expected = smeared(median, half)
    variance = log_variance(expected, half, collection, [TRUE], np.zeros(n, np.int64), CONFIG)
    lower, upper = sum_interval(float(expected.sum()), variance, TRUE.quantile_80)
    sums = np.array([(median * np.exp(errors(rng, collection, half))).sum() for _ in range(3000)])
    assert ((sums >= lower) & (sums <= upper)).mean() == pytest.approx(0.8, abs=0.03)
    assert sums.mean() == pytest.approx(expected.sum(), rel=0.02)


def test_too_few_portfolios_measure_nothing() -> None:
    past = history(np.random.default_rng(2), 10)
    ones = np.ones(len(past["error"]))
    assert (
        estimate_risk(ones, ones, past["error"], past["half"], past["collection"], past["portfolio"], CONFIG)
        is None
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Estimates of five tokens in two collections, one of them without a value, and two owners."""
    lake = Lake(LakeConfig(home=tmp_path), TABLES)
    with lake.write("portfolio market") as con:
        con.execute(
            "create or replace table marts.dim_collections as select c as collection, 'ethereum' as \"chain\" "
            "from (values ('apes'), ('birds')) t (c)"
        )
        con.execute(
            "create or replace table marts.fct_holdings as"
            " select * from (values ('apes', '1', '0xAb'), ('apes', '2', '0xAb'),"
            " ('birds', '1', '0xAb'), ('birds', '9', '0xAb'), ('apes', '3', '0xC')) t (collection, token_id, owner)"
        )
        con.execute(
            """
            insert into predictions.token_estimates by name
            select split_part(t, ' ', 1) as collection, split_part(t, ' ', 2) as token_id, 1.0 as estimate_eth,
                exp(-0.3) as lower_80_eth, exp(0.3) as upper_80_eth, 1.05 as expected_eth, 'B' as grade,
                'pooled' as tier, $1::timestamp as as_of
            from unnest(['apes 1', 'apes 2', 'apes 3', 'birds 1']) as u (t)
            """,
            [NOW],
        )
        con.execute(
            "insert into predictions.token_estimates by name select 'birds' as collection, '9' as token_id,"
            " 'none' as tier, 'fewer_than_3_sales' as no_value_reason"
        )
    return lake


def remember(lake: Lake, portfolios: int, later: float = 0.0) -> None:
    """Past sales whose errors are shared as in `TRUE`, one wallet per portfolio.

    Args:
        lake: Where to.
        portfolios: How many.
        later: Added to the errors of the last third of the portfolios, which are of the month after the others.
    """
    past = history(np.random.default_rng(3), portfolios)
    with lake.write("past sales") as con:
        columns = {"e": past["error"], "h": past["half"], "m": past["median"], "c": past["collection"]}
        is_late = past["portfolio"] >= portfolios * 2 // 3
        columns["e"] = past["error"] + later * is_late
        rows = {**columns, "p": past["portfolio"], "n": np.arange(len(past["error"])), "late": is_late}
        con.register("past", pa.table(rows))
        con.execute(
            "create or replace table marts.fct_sales as"
            " select n::varchar as sale_id, 'w' || p as buyer, null::varchar as"
            " seller from past"
        )
        con.execute(
            """
            insert into predictions.prior_walk_forward by name
            select n::varchar as sale_id, if(c = 0, 'apes', 'birds') as collection,
                if(late, $1::timestamp, $1::timestamp - interval 1 month) as known_at,
                ln(m) + e as target_log, ln(m) as prediction_log, 0 as premium_tier, h as half_80 from past
            """,
            [NOW - timedelta(days=10)],
        )
        record_portfolio_risk(con)


def test_a_portfolio_is_narrower_than_its_bounds_added_and_wider_than_independence(lake: Lake) -> None:
    with lake.read() as con:
        before = value_portfolio(con, tokens_of(con, "0xab"))
    remember(lake, 300)
    with lake.read() as con:
        after = value_portfolio(con, tokens_of(con, "0xAB"))
        assert read_risk(con, NOW - timedelta(days=11)) == {}  # nothing was measured yet at that time
        assert set(read_risk(con, NOW)) == {ALL_MARKETS, "ethereum"}
    assert (before.method, after.method) == (METHOD_BOUNDS, METHOD_RISK)
    assert before.sum_eth == after.sum_eth == pytest.approx(3 * 1.05)
    width = np.log(after.upper_80_eth / after.lower_80_eth) / 2
    assert 0.3 / np.sqrt(3) < width < 0.3
    assert after.lower_80_eth < after.sum_eth < after.upper_80_eth


def test_sums_are_judged_by_what_was_known_before_them(lake: Lake) -> None:
    with lake.read() as con:
        assert back_test(con) is None
    remember(lake, 900)
    with lake.read() as con:
        found = back_test(con)
    assert found is not None
    assert found["since"] == "2022-05-01T00:00:00"
    sides = found["markets"]["ethereum"]
    assert (sides["bought"]["portfolios"], sides["sold"]["portfolios"]) == (300, 0)
    assert sides["sold"]["sum_ratio"] is None
    assert 0.72 < sides["bought"]["coverage_80"] < 0.88
    assert 0.9 < sides["bought"]["sum_ratio"] < 1.1
    assert 0 < sides["bought"]["mdape_of_sums"] < 0.5


def test_prices_that_rise_after_the_cut_show_in_the_sums(lake: Lake) -> None:
    remember(lake, 900, later=0.7)
    with lake.read() as con:
        found = back_test(con)
    assert found is not None
    bought = found["markets"]["ethereum"]["bought"]
    assert bought["coverage_80"] < 0.6
    assert bought["sum_ratio"] < 0.7


def test_tokens_without_a_value_are_listed_with_the_reason_and_count_nothing(lake: Lake) -> None:
    asked = [("birds", "9"), ("apes", "1"), ("apes", "1"), ("apes", "404")]
    with lake.read() as con:
        value = value_portfolio(con, asked)
        nothing = value_portfolio(con, [("birds", "9")])
    assert value.unvalued == [
        {"collection": "birds", "token_id": "9", "reason": "fewer_than_3_sales"},
        {"collection": "apes", "token_id": "404", "reason": "unknown_token"},
    ]
    assert (value.sum_eth, value.method) == (1.05, METHOD_TOKEN)
    assert (value.lower_80_eth, value.upper_80_eth) == pytest.approx((np.exp(-0.3), np.exp(0.3)))
    assert (nothing.sum_eth, nothing.lower_80_eth, nothing.as_of) == (0.0, None, None)
