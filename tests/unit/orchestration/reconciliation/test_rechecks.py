"""The bound of what may have gone wrong since a check: its rules, its coverage, and what is checked when."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

from benchmarks.simulated_rechecks import simulate
from orchestration.reconciliation.rechecks import (
    LONGEST,
    TARGET,
    Segments,
    bound_of,
    chosen,
    days_to_next,
    is_due,
)
from orchestration.reconciliation.survival import (
    ENOUGH,
    Bounds,
    Curve,
    CurvesBySource,
    Lives,
    fit,
    fit_by_source,
)

NEVER = np.inf


def lives(clean_until: list[float], found_by: list[float]) -> Lives:
    return Lives(np.array(clean_until, dtype=float), np.array(found_by, dtype=float))


def segments(since: list[float], age: list[float], rows: list[float], checked: list[bool]) -> Segments:
    return Segments(
        np.array(since, float), np.array(age, float), np.array(rows, float), np.array(checked, bool)
    )


def upper(curve: Bounds, since: float, until: float) -> float:
    return float(curve.upper(np.array([since]), np.array([until]))[0])


def test_without_a_difference_the_rule_of_three_holds() -> None:
    curve = fit(lives([1000.0] * 10, [NEVER] * 10))
    assert curve.method == "rule_of_three"
    assert curve.rate == pytest.approx(-math.log(0.05) / 10_000)
    assert upper(curve, 500, 510) == pytest.approx(3 * 10 / 10_000, rel=0.01)
    assert upper(curve, 500, 500) == 0


def test_with_few_differences_the_bound_is_the_exact_one_of_a_constant_rate() -> None:
    curve = fit(lives([100.0] * 10, [NEVER] * 7 + [107.0] * 3))
    assert curve.method == "constant_rate"
    assert curve.rate == pytest.approx(chi2.ppf(0.95, 8) / 2 / 1000)


def test_nothing_known_promises_nothing() -> None:
    curve = fit(lives([], []))
    assert upper(curve, 0, 1) == 1
    assert bound_of(curve, segments([0], [5], [10], [False])).bound == 1
    assert bound_of(curve, segments([], [], [], [])).bound == 0
    assert bound_of(curve, segments([5], [5], [10], [True]), rows_differing=2).bound == 0.2


def test_a_rate_that_falls_with_age_is_seen() -> None:
    rng = np.random.default_rng(5)
    wrong_at = rng.weibull(0.5, 4000) * 20_000
    ends = np.full(4000, 200.0)
    found = np.ceil(wrong_at / 7) * 7
    seen = found <= ends
    curve = fit(Lives(np.where(seen, found - 7, 196.0), np.where(seen, found, NEVER)))
    assert curve.lives.differences > ENOUGH
    assert curve.method == "weibull"
    for since, until in ((0.0, 7.0), (100.0, 107.0), (190.0, 220.0)):
        true = -math.expm1(math.sqrt(since / 20_000) - math.sqrt(until / 20_000))
        assert true <= upper(curve, since, until) <= 2 * true
    constant = -math.expm1(-curve.rate * 7)
    assert upper(curve, 100, 107) < constant < upper(curve, 0, 7)


def test_a_source_that_is_often_wrong_does_not_hide_among_others() -> None:
    good, bad = lives([1000.0] * 100, [NEVER] * 100), lives([10.0] * 10, [NEVER] * 6 + [11.0] * 4)
    curves = fit_by_source({"good": good, "bad": bad})
    both = CurvesBySource(curves, np.array(["good", "bad", "good", "new"], dtype=object))
    since = np.zeros(4)
    bound = both.upper(since, since + 1)
    # Each has half of the doubt; of a source without a curve nothing is known.
    assert bound[0] == bound[2] == pytest.approx(-math.expm1(math.log(0.025) / 100_000))
    assert bound[1] == pytest.approx(-math.expm1(-chi2.ppf(0.975, 10) / 2 / 100))
    assert bound[3] == 1
    pooled = fit(lives([1000.0] * 100 + [10.0] * 10, [NEVER] * 106 + [11.0] * 4))
    assert upper(pooled, 0, 1) < bound[1] / 100
    at_once = segments([5, 5], [6, 6], [1, 1], [True, True])
    two = CurvesBySource(curves, np.array(["good", "bad"], dtype=object))
    assert is_due(two, at_once).tolist() == [False, True]
    waits = days_to_next(two, np.array([5.0, 5.0]))
    assert waits[0] > 1
    assert waits[1] == 1


def test_one_source_has_all_of_the_doubt() -> None:
    own = lives([1000.0] * 10, [NEVER] * 10)
    assert fit_by_source({"only": own})["only"].rate == fit(own).rate
    assert fit_by_source({}) == {}


@pytest.mark.parametrize("sources", [1, 3])
def test_bounds_of_all_sources_hold_together(sources: int) -> None:
    """By simulation: in 95 % of histories no source has a greater rate than its bound."""
    rng, rate, days = np.random.default_rng(7), 2e-3, 50.0
    held = 0
    for _ in range(400):
        histories = {}
        for source in range(sources):
            wrong_at = rng.exponential(1 / rate, 100)
            found = np.where(wrong_at < days, np.ceil(wrong_at), NEVER)
            histories[str(source)] = Lives(np.minimum(np.floor(wrong_at), days), found)
        held += all(curve.rate >= rate for curve in fit_by_source(histories).values())
    assert held / 400 >= 0.93


def test_differences_all_at_one_age_do_not_stop_it() -> None:
    curve = fit(lives([0.0] * 30, [1.0] * 30))
    assert curve.method == "constant_rate"
    assert 0 < upper(curve, 0, 1) <= 1


def test_due_is_what_would_exceed_the_target_before_tomorrow() -> None:
    curve = fit(lives([1e6], [NEVER]))
    days = math.floor(-math.log1p(-TARGET) / curve.rate)
    age = [100.0, 100.0 + days - 1, 100.0 + days]
    assert is_due(curve, segments([100] * 3, age, [1] * 3, [True] * 3)).tolist() == [False, False, True]
    assert is_due(curve, segments([0], [0], [1], [False])).tolist() == [True]


@pytest.mark.parametrize(
    "curve", [fit(lives([3e5], [NEVER])), fit(lives([], [])), fit(lives([9e9], [NEVER]))]
)
def test_the_next_check_is_on_the_first_day_on_which_it_is_due(curve: Curve) -> None:
    (days,) = days_to_next(curve, np.array([40.0]))
    due = is_due(curve, segments([40, 40], [40 + days - 1, 40 + days], [1, 1], [True, True]))
    assert bool(due[1])
    assert days == 1 or not due[0]
    assert 1 <= days <= LONGEST


def test_while_nothing_is_known_what_was_never_compared_comes_first() -> None:
    given = segments([0, 0, 0], [0, 0, 0], [10, 10, 10], [True, False, True])
    assert chosen(fit(lives([], [])), given, np.random.default_rng(1), rows_at_once=10).tolist() == [1]
    waiting = segments([5, 2, 0], [5, 5, 1], [10, 10, 10], [True] * 3)
    assert chosen(fit(lives([], [])), waiting, np.random.default_rng(1), rows_at_once=10).tolist() == [1]


def test_more_confidence_is_a_greater_bound_by_every_method() -> None:
    rng = np.random.default_rng(5)
    found = np.ceil(rng.weibull(0.7, 400) * 300)
    for given in (lives([900.0], [NEVER]), lives([900.0, 3.0], [NEVER, 4.0]), Lives(found - 1, found)):
        usual, surer = fit(given), fit(given, confidence=0.99)
        assert usual.method == surer.method
        assert upper(usual, 10, 20) < upper(surer, 10, 20)


def test_what_is_due_comes_first_and_the_pace_is_kept() -> None:
    curve = fit(lives([1e5], [NEVER]))
    given = segments([0, 0, 0, 0], [9, 900, 90, 0], [10, 10, 10, 10], [True] * 4)
    picked = chosen(curve, given, np.random.default_rng(1), rows_at_once=20, early=0)
    assert picked.tolist() == [1, 2]
    assert chosen(curve, given, np.random.default_rng(1), rows_at_once=1, early=0).tolist() == [1]
    assert set(chosen(curve, given, np.random.default_rng(1), early=1.0).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("rate", [0.0, 5e-6])
def test_the_promise_holds_and_checks_cost_what_is_planned(rate: float) -> None:
    rng = np.random.default_rng(7)
    runs = [simulate(rate, rng, segments=1000, days=90) for _ in range(8)]
    assert np.mean([one.promised >= one.expected for one in runs]) >= 0.75
    assert all(one.expected <= TARGET for one in runs)
    assert all(one.promised <= TARGET for one in runs)
    assert sum(one.checks for one in runs) == pytest.approx(sum(one.planned for one in runs), rel=0.2)
