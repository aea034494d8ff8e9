"""Intervals keep their promise by tier, return to it after a change of regime, and never use later sales."""

import numpy as np
import pytest

from ml.intervals.calibration import CalibrationConfig, calibrate, prequential_half_widths

CONFIG = CalibrationConfig()


def prequential(error: np.ndarray, tier: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-widths of sales of scale 1 valued just before they became known."""
    return prequential_half_widths(error, np.ones(len(error)), tier, known, known - 1, CONFIG)


def test_each_tier_is_covered_although_the_scale_is_wrong_in_one() -> None:
    rng = np.random.default_rng(1)
    tier = rng.integers(0, 3, size=12_000).astype(np.int8)
    spread = np.array([0.1, 0.2, 0.9])[tier]  # the scale model below knows nothing of the third tier's spread
    error = rng.normal(size=12_000) * spread
    known = np.arange(12_000) * 10
    half_80, half_90 = prequential_half_widths(error, np.full(12_000, 0.15), tier, known, known - 1, CONFIG)
    for number in range(3):
        rows = np.flatnonzero(tier == number)[500:]
        assert (np.abs(error[rows]) <= half_80[rows]).mean() == pytest.approx(0.8, abs=0.01)
        assert (np.abs(error[rows]) <= half_90[rows]).mean() == pytest.approx(0.9, abs=0.01)
    calibration = calibrate(error, np.full(12_000, 0.15), tier, CONFIG)
    assert calibration is not None
    assert calibration.quantile_80 == pytest.approx(1.28 * np.array([0.1, 0.2, 0.9]) / 0.15, rel=0.4)


def test_a_market_twice_as_volatile_is_covered_again_within_150_sales() -> None:
    rng = np.random.default_rng(2)
    calm, wild, tier = 4000, 4000, np.zeros(8000, np.int8)
    error = rng.normal(size=calm + wild) * np.repeat([0.2, 0.4], [calm, wild])
    half_80, half_90 = prequential(error, tier, np.arange(8000) * 10)
    after = slice(calm + 150, calm + 950)
    assert (np.abs(error[after]) <= half_80[after]).mean() == pytest.approx(0.8, abs=0.02)
    assert (np.abs(error[after]) <= half_90[after]).mean() == pytest.approx(0.9, abs=0.02)
    assert (half_90 >= half_80)[np.isfinite(half_80)].all()


def test_mean_correction_is_the_mean_over_the_median() -> None:
    error = np.random.default_rng(2).normal(scale=0.4, size=4000)
    calibration = calibrate(error, np.ones(4000), np.zeros(4000, np.int8), CalibrationConfig(error_clip=9))
    assert calibration is not None
    assert calibration.mean_log[0] == pytest.approx(0.4**2 / 2, abs=0.02)
    assert calibration.rows[2] == 0  # a tier that never sold has the quantiles all tiers began with
    assert calibration.quantile_80[2] == pytest.approx(1.28 * 0.4, abs=0.2)


def test_intervals_of_the_past_do_not_know_the_future() -> None:
    rng = np.random.default_rng(3)
    n = 3000
    known = np.arange(n, dtype=np.int64) * 10
    error, tier = rng.normal(size=n), np.zeros(n, np.int8)
    before, _ = prequential(error, tier, known)
    error[2000:] *= 100
    after, _ = prequential(error, tier, known)
    np.testing.assert_array_equal(before[:2001], after[:2001])
    assert np.isnan(before[: CONFIG.min_rows]).all()
    assert (after[2010:] > before[2010:]).all()


def test_sales_of_one_time_do_not_see_one_another() -> None:
    known = np.repeat(np.arange(400, dtype=np.int64), 10)
    error, tier = np.random.default_rng(4).normal(size=4000), np.zeros(4000, np.int8)
    half_80, _ = prequential_half_widths(error, np.ones(4000), tier, known, known, CONFIG)
    by_time = half_80.reshape(400, 10)
    np.testing.assert_array_equal(by_time, np.repeat(by_time[:, :1], 10, axis=1))
    error[3990:] = 1e6  # the last time cannot widen itself, and the order within one does not matter
    error[:3990].reshape(399, 10)[:] = error[:3990].reshape(399, 10)[:, ::-1]
    again, _ = prequential_half_widths(error, np.ones(4000), tier, known, known, CONFIG)
    np.testing.assert_allclose(again, half_80)


def test_a_sale_reported_late_counts_from_when_it_was_known() -> None:
    n = 600
    known, error, tier = np.arange(n) * 10, np.full(n, 0.1), np.zeros(n, np.int8)
    as_of = known - 1
    as_of[-1] = 5000  # happened at 5000, reported at 5990: its interval is that of its own time
    half_80, _ = prequential_half_widths(error, np.ones(n), tier, known, as_of, CONFIG)
    assert half_80[-1] == half_80[500]  # that of the sale valued at 4999


@pytest.mark.parametrize("rows", [0, 1, 49])
def test_too_few_sales_give_no_interval(rows: int) -> None:
    error, tier = np.ones(rows), np.zeros(rows, np.int8)
    assert calibrate(error, np.ones(rows), tier, CONFIG) is None
    half_80, _ = prequential(error, tier, np.arange(rows))
    assert np.isnan(half_80).all()


def test_a_sale_without_a_scale_gets_no_interval_and_is_not_learnt_from() -> None:
    rng = np.random.default_rng(5)
    n = 2000
    known, error, tier = np.arange(n) * 10, rng.normal(size=n), np.zeros(n, np.int8)
    scale = np.where(np.arange(n) % 2, 1.0, np.nan)
    scale[1::200] = 0.0
    half_80, _ = prequential_half_widths(error, scale, tier, known, known - 1, CONFIG)
    assert np.isnan(half_80[::2]).all()
    kept = scale > 0
    alone, _ = prequential_half_widths(
        error[kept], scale[kept], tier[kept], known[kept], known[kept] - 1, CONFIG
    )
    np.testing.assert_array_equal(half_80[kept], alone)
