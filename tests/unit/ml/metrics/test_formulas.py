import numpy as np
import pytest

from ml.metrics.formulas import (
    coverage,
    mdape_by_group,
    median_by_group,
    point_metrics,
    premium_tier,
)


def test_point_metrics_agree_with_the_definitions_worked_by_hand() -> None:
    estimate, price = np.array([1.0, 2.0, 3.0, 8.0]), np.array([1.0, 1.0, 4.0, 4.0])
    found = point_metrics(np.log(estimate), np.log(price))
    ratio = np.array([1.0, 2.0, 0.75, 2.0])
    assert found.n == 4
    assert found.mdape == pytest.approx((0.25 + 1.0) / 2)
    assert found.mape == pytest.approx(2.25 / 4)
    assert found.ppe10 == pytest.approx(0.25)
    assert found.level == pytest.approx(1.5)
    assert found.cod == pytest.approx(100 * np.abs(ratio - 1.5).mean() / 1.5)
    assert found.prd == pytest.approx(ratio.mean() / (14 / 10))


def test_missing_estimates_are_left_out_and_an_empty_sample_has_no_metrics() -> None:
    found = point_metrics(np.array([np.nan, 0.0]), np.array([0.0, 0.0]))
    assert (found.n, found.mdape) == (1, 0.0)
    assert np.isnan(point_metrics(np.empty(0), np.empty(0)).mdape)


def test_medians_by_group_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=501), rng.integers(0, 7, size=501)
    expected = [np.median(values[group == g]) for g in range(7)]
    np.testing.assert_allclose(median_by_group(values, group, 8)[:7], expected)
    assert np.isnan(median_by_group(values, group, 8)[7])
    price = rng.normal(size=501)
    expected = [np.median(np.abs(np.exp((values - price)[group == g]) - 1)) for g in range(7)]
    np.testing.assert_allclose(mdape_by_group(values, price, group, 7), expected)


def test_premium_tiers_split_at_their_edges_and_no_floor_is_no_premium() -> None:
    floor = np.log([1.0, 1.0, 1.0, np.nan])
    assert premium_tier(np.log([1.2, 1.3, 2.1, 9.0]), floor).tolist() == [0, 1, 2, 0]


def test_coverage_counts_only_rows_with_an_interval() -> None:
    assert coverage(np.array([0.1, -0.3, 5.0]), np.array([0.2, 0.2, np.nan])) == 0.5
