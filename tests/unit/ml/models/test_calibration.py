import numpy as np
import pytest

from ml.models.calibration import CalibrationConfig, calibrate, conformal_quantile, prequential_half_widths


def test_conformal_quantile_is_the_finite_sample_one() -> None:
    scores = np.arange(1.0, 10.0)
    assert conformal_quantile(scores, 0.8) == 8.0  # ceil(10 * 0.8) = 8th of 9
    assert conformal_quantile(scores[:3], 0.9) == 3.0


def test_each_tier_is_covered_although_the_scale_is_wrong_in_one() -> None:
    rng = np.random.default_rng(1)
    tier = rng.integers(0, 3, size=12_000).astype(np.int8)
    spread = np.array([0.1, 0.2, 0.9])[tier]  # the scale model below knows nothing of the third tier's spread
    error = rng.normal(size=12_000) * spread
    calibration = calibrate(error[:6000], np.full(6000, 0.15), tier[:6000], CalibrationConfig())
    assert calibration is not None
    half_80, half_90 = calibration.half_widths(np.full(6000, 0.15), tier[6000:])
    for number in range(3):
        rows = tier[6000:] == number
        assert (np.abs(error[6000:][rows]) <= half_80[rows]).mean() == pytest.approx(0.8, abs=0.04)
        assert (np.abs(error[6000:][rows]) <= half_90[rows]).mean() == pytest.approx(0.9, abs=0.03)


def test_mean_correction_is_the_mean_over_the_median() -> None:
    error = np.random.default_rng(2).normal(scale=0.4, size=4000)
    calibration = calibrate(error, np.ones(4000), np.zeros(4000, np.int8), CalibrationConfig(error_clip=9))
    assert calibration is not None
    assert calibration.mean_log[0] == pytest.approx(0.4**2 / 2, abs=0.02)
    assert calibration.rows[2] == 0  # an empty tier borrows the quantiles of all
    assert calibration.quantile_80[2] == pytest.approx(calibration.quantile_80[0])


def test_intervals_of_the_past_do_not_know_the_future() -> None:
    rng = np.random.default_rng(3)
    n = 3000
    known = np.arange(n, dtype=np.int64) * 10
    error, scale, tier = rng.normal(size=n), np.ones(n), np.zeros(n, np.int8)
    config = CalibrationConfig(window_rows=500, refresh_rows=100)
    before, _ = prequential_half_widths(error, scale, tier, known, known - 5, config)
    error[2000:] *= 100
    after, _ = prequential_half_widths(error, scale, tier, known, known - 5, config)
    np.testing.assert_array_equal(before[:2000], after[:2000])
    assert np.isnan(before[:100]).all()
    assert (after[2200:] > before[2200:]).all()
