"""What is adopted: gains beyond noise on sales the search has not seen."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from ml.tuning.judgement import AdoptionRule, adopted, clusters_of, paired_gain
from ml.tuning.windows import TooFewSalesError, WindowConfig, split_windows
from ml.tuning.worth import Worth, WorthRule, share_budget

RULE = AdoptionRule(draws=400)
DAY = 86_400_000_000
NEWEST = datetime(2022, 1, 1)  # noqa: DTZ001 - the lake's naive UTC


def _errors(rng: np.random.Generator, scale: float) -> np.ndarray:
    return rng.laplace(scale=scale, size=4000)


def test_two_fits_that_differ_by_noise_change_nothing():
    rng = np.random.default_rng(0)
    base = _errors(rng, 0.2)
    before, after = [base + rng.normal(0, 0.02, 4000)], [base + rng.normal(0, 0.02, 4000)]
    gain = paired_gain(before, after, np.arange(4000) // 10, RULE, 1)
    assert gain.low < 0 < gain.high
    assert adopted(gain, RULE)[:2] == (False, "buys_nothing")


def test_a_gain_beyond_noise_is_adopted_with_its_numbers():
    base = _errors(np.random.default_rng(0), 0.2)
    gain = paired_gain([base], [0.95 * base], np.arange(4000) // 10, RULE, 1)
    assert gain.gain == pytest.approx(0.05)
    paid, rule, reason = adopted(gain, RULE)
    assert (paid, rule) == (True, "later_window")
    assert "5.00 %" in reason


def test_a_gain_that_one_collection_had_in_one_week_is_not_evidence():
    """Paired sale by sale it would be four thousand observations; resampled together it is one."""
    base = np.abs(_errors(np.random.default_rng(0), 0.2))
    after = base.copy()
    after[:2000] *= 0.9
    one_cluster = np.maximum(0, np.arange(4000) // 100 - 19)
    assert paired_gain([base], [after], np.arange(4000), RULE, 1).low > 0
    assert adopted(paired_gain([base], [after], one_cluster, RULE, 1), RULE)[0] is False


def test_a_smaller_error_that_prices_everything_too_low_is_refused():
    base = np.r_[np.full(2000, 0.3), np.full(2001, -0.001)]
    after = np.r_[np.full(2000, 0.2), np.full(2001, 0.05)]
    gain = paired_gain([base], [after], np.arange(4001), RULE, 1)
    assert adopted(gain, RULE)[:2] == (False, "shifts_level")


def test_collection_and_week_are_resampled_together():
    codes = clusters_of(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 9]) * DAY, 7.0)
    assert codes[0] == codes[1] != codes[2] != codes[3]


def test_windows_are_nested_in_time():
    rng = np.random.default_rng(2)
    known = np.sort(rng.integers(0, 365 * DAY, 5000))
    as_of = known - rng.integers(0, 3 * DAY, 5000)  # sales are learnt of up to three days late
    windows = split_windows(known, as_of, WindowConfig())
    for window in (*windows.tuning, *windows.later):
        assert (known[: window.train] < window.cutoff).all()
        assert (as_of[window.score] >= window.cutoff).all()
    searched = np.concatenate([window.score for window in windows.tuning])
    judged = np.concatenate([window.score for window in windows.later])
    assert known[searched].max() < windows.later_from <= as_of[judged].min()


def test_too_few_sales_are_a_reason():
    with pytest.raises(TooFewSalesError, match="expected at least 100 sales in every window"):
        split_windows(np.arange(300) * DAY, np.arange(300) * DAY, WindowConfig())


def test_a_budget_too_small_for_all_goes_to_the_most_valuable():
    found = [Worth(f"c{i}", "eth, small", 1000, 100.0 / (i + 1), NEWEST) for i in range(6)]
    shares = share_budget(found, 120.0, WorthRule(min_seconds=20.0), resting={})
    assert [worth.collection for worth, _ in shares] == ["c0", "c1", "c2"]
    assert sum(seconds for _, seconds in shares) == pytest.approx(120.0)
    assert share_budget(found, 120.0, WorthRule(), resting={"eth, small": NEWEST + timedelta(days=1)}) == []
    assert len(share_budget(found, 120.0, WorthRule(), resting={"eth, small": NEWEST})) > 0
    assert share_budget(found, 5.0, WorthRule(), resting={}) == []
