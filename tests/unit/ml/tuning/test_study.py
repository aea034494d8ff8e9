"""The loop of a study: what is remembered, what ends it, what a bad trial does to it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ml.models.prior import PriorConfig
from ml.states import TrialState
from ml.tuning.spaces import POOLED_SPACE, current
from ml.tuning.study import (
    BudgetSpentError,
    Deadline,
    StudyConfig,
    Trial,
    run_study,
)

Float = npt.NDArray[np.float64]

NOW = current(POOLED_SPACE, PriorConfig())


class Clock:
    """Seconds that pass only when work is done."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Bowl:
    """An objective with its best at a learning rate of 0.1; each fold takes a second of its clock."""

    folds = 3

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.asked: list[Mapping[str, Any]] = []

    def errors(
        self,
        params: Mapping[str, Any],
        fold: int,
        deadline: Deadline,
        seed: int | None = None,  # noqa: ARG002 - the bowl has no luck
    ) -> Float:
        if fold == 0:
            self.asked.append(dict(params))
        self.clock.seconds += 1.0
        if deadline.passed:
            raise BudgetSpentError
        return np.full(100, 0.1 + abs(params["learning_rate"] - 0.1))


def test_settings_in_force_are_tried_first_and_only_once():
    bowl = Bowl()
    run_study("s", POOLED_SPACE, bowl, start=[NOW, NOW], config=StudyConfig(trials=4))
    assert bowl.asked[0] == NOW
    assert bowl.asked.count(NOW) == 1


def test_a_killed_study_goes_on_from_the_trials_it_had_written_down():
    class Killed(Bowl):
        def errors(self, params: Mapping[str, Any], fold: int, *rest: Any) -> Float:
            if len(self.asked) == 4 and fold == 1:
                raise KeyboardInterrupt
            return super().errors(params, fold, *rest)

    kept: list[Trial] = []
    with pytest.raises(KeyboardInterrupt):
        run_study("s", POOLED_SPACE, Killed(), start=[NOW], config=StudyConfig(trials=9), keep=kept.append)
    assert [trial.number for trial in kept] == [0, 1, 2]
    bowl = Bowl()
    result = run_study(
        "s", POOLED_SPACE, bowl, start=[NOW], config=StudyConfig(trials=9), earlier=kept, keep=kept.append
    )
    assert [trial.number for trial in result.trials] == list(range(9))
    assert list(result.trials) == kept
    assert not [params for params in bowl.asked if params in [dict(t.params) for t in kept[:3]]]


def test_the_budget_ends_a_running_fit_and_its_trial_is_finished_next_time():
    clock = Clock()
    first = run_study(
        "s", POOLED_SPACE, Bowl(clock), start=[NOW], config=StudyConfig(seconds=7.5, trials=50), clock=clock
    )
    assert clock.seconds <= 9.0
    assert [trial.state for trial in first.trials] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.STOPPED,
    ]
    assert first.out_of_time
    again = Bowl()
    second = run_study(
        "s",
        POOLED_SPACE,
        again,
        start=[NOW],
        config=StudyConfig(trials=5),
        earlier=first.trials,
        clock=again.clock,
    )
    assert again.asked[0] == first.trials[-1].params
    assert second.trials[3].state == TrialState.COMPLETE


def test_a_poisoned_trial_fails_with_its_reason_and_the_study_goes_on():
    class Poisoned(Bowl):
        def errors(self, *asked: Any) -> Float:
            errors = super().errors(*asked)
            return errors * np.nan if len(self.asked) == 2 else errors

    result = run_study("s", POOLED_SPACE, Poisoned(), start=[NOW], config=StudyConfig(trials=5))
    assert [trial.state for trial in result.trials].count(TrialState.FAILED) == 1
    assert "expected a finite error, found nan" in (result.trials[1].reason or "")
    assert result.best is not None
    assert result.best.number != 1


def test_a_hopeless_trial_is_given_up_before_its_last_fold():
    result = run_study("s", POOLED_SPACE, Bowl(), start=[NOW], config=StudyConfig(trials=40, startup=4))
    pruned = [trial for trial in result.trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(trial.pruned_step == len(trial.folds) < Bowl.folds and trial.reason for trial in pruned)
    assert result.best is not None
    assert result.best.value == min(
        t.value for t in result.trials if t.state == TrialState.COMPLETE and t.value is not None
    )


def test_settings_outside_the_space_are_not_warm_started():
    bowl = Bowl()
    run_study(
        "s", POOLED_SPACE, bowl, start=[{**NOW, "depth": 12}, {"depth": 4}], config=StudyConfig(trials=3)
    )
    assert all(params["depth"] <= 7 and set(params) == set(NOW) for params in bowl.asked)
