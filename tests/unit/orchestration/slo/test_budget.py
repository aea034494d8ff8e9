"""Error budgets against numbers calculated by hand."""

from datetime import datetime, timedelta

import pytest

from orchestration.slo.budget import Sample, budget, burn_rate, cadence

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake keeps naive UTC
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = timedelta(days=30)


def every(count: int):
    """The same count for any age."""
    return lambda _age: count


HUNDRED = every(100)


def samples(hours: int, good=HUNDRED, valid=HUNDRED, step: timedelta = HOUR) -> list[Sample]:
    """One sample per step; `age` 0 is the newest, at NOW."""
    return [
        Sample("slo", NOW - age * step, NOW - (age + 1) * step, good(age), valid(age)) for age in range(hours)
    ]


def judge(held, **changes):
    return budget(held, NOW, **{"objective": 0.99, "window": MONTH, **changes})


def test_a_month_without_a_bad_event_spends_nothing():
    found = judge(samples(720))
    assert (found.state, found.left, found.exhausted_in) == ("ok", 1.0, None)


def test_one_hour_of_failure_in_a_month_spends_its_share_and_pages_while_it_lasts():
    found = judge(samples(720, good=lambda age: 0 if age == 0 else 100))
    assert found.burn[HOUR] == pytest.approx(100)
    # 100 of 72,000 events are bad, 720 are allowed.
    assert found.left == pytest.approx(1 - 100 / 720)
    assert found.state == "page"


def test_the_page_ends_when_the_failure_does():
    found = judge(samples(720, good=lambda age: 0 if age == 1 else 100), objective=0.95)
    assert found.burn[HOUR] == 0
    assert found.state == "burning"


def test_a_slow_burn_is_a_ticket_and_gives_the_time_to_exhaustion():
    found = judge(samples(72, good=every(98)))
    assert found.burn[DAY * 3] == pytest.approx(2)
    # Three of thirty days at twice the sustainable rate: a fifth is spent, and the rest lasts 12 days.
    assert found.left == pytest.approx(0.8)
    assert found.exhausted_in / DAY == pytest.approx(12)
    assert found.state == "ticket"


def test_six_hours_at_seven_times_page_although_no_hour_reaches_fourteen():
    found = judge(samples(720, good=lambda age: 93 if age < 6 else 100))
    assert found.burn[6 * HOUR] == pytest.approx(7)
    assert found.state == "page"


def test_a_ticket_slo_never_pages():
    assert judge(samples(720, good=lambda age: 0 if age == 0 else 100), severity="ticket").state == "ticket"


def test_a_spent_budget_that_is_not_burning_is_exhausted_and_no_alert():
    found = judge(samples(480, good=lambda age: 95 if age >= 240 else 100))
    # 2.5 % of the events of 20 days are bad: 2.5 times the rate, over two thirds of the window.
    assert found.left == pytest.approx(1 - 2.5 * 20 / 30)
    assert (found.state, found.exhausted_in) == ("exhausted", timedelta(0))


def test_one_bad_event_among_few_is_no_incident():
    held = samples(24, good=lambda age: 1 if age else 0, valid=every(1))
    assert judge(held, min_bad=3).state == "ok"
    assert judge(held).state == "page"


def test_a_quiet_hour_is_no_recovery():
    """Nothing was sold in the last two hours; everything before was bad."""
    held = samples(24, good=every(0), valid=lambda age: 0 if age < 2 else 3)
    found = judge(held, min_events=10, min_bad=3)
    assert found.burn[HOUR] == pytest.approx(100)
    assert found.state == "page"


def test_fewer_events_than_make_a_rate_are_no_data():
    assert judge(samples(3, good=every(0), valid=every(1)), min_events=10).state == "no_data"
    assert judge([]).state == "no_data"


def test_without_events_for_three_days_the_state_is_no_data():
    old = [s for s in samples(240, good=every(0)) if s.evaluated_at <= NOW - 4 * DAY]
    without_events = [Sample("slo", NOW, NOW - HOUR, 0, 0)]
    assert judge(old + without_events).state == "no_data"


def test_windows_are_never_shorter_than_the_distance_between_evaluations():
    """Evaluated once a day: five minutes hold the newest day alone."""
    held = samples(30, good=every(1), valid=every(1), step=DAY)
    assert cadence(held) == DAY
    found = judge([*held[1:], Sample("slo", NOW, NOW - DAY, 0, 1)], objective=0.95)
    assert found.burn[timedelta(minutes=5)] == pytest.approx(20)
    assert found.state == "page"


def test_samples_after_as_of_are_not_used():
    late = Sample("slo", NOW + HOUR, NOW, 0, 100)
    assert burn_rate([*samples(3), late], NOW, HOUR, 0.99) == 0
