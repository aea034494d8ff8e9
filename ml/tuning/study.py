"""A study: trials under a budget, remembered one by one, continued where they ended.

Here: the loop around Optuna's `ask` and `tell`, pruning between folds, the budget, and a trial's record. Not here:
what is searched (`ml.tuning.spaces`), what a trial computes (`ml.tuning.pooled_objective`,
`ml.tuning.local_objective`), where records are kept (`ml.tuning.tables`).

Concept: Optuna's own storage would be a second database next to the lake, and a slow one; the study lives in memory and
every finished trial is handed to the caller, who writes it down. A study that was killed is given its old trials and
goes on. Time is a hard limit: a running fit is ended by a callback, and its trial is tried first the next time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ml.states import TrialState
from ml.tuning.spaces import Params, Space, distributions, inside

Float = npt.NDArray[np.float64]


class BudgetSpentError(Exception):
    """The budget of a study ended while a fit was running."""


class TrialFailedError(Exception):
    """A trial's settings cannot be scored; the message gives the reason."""


@dataclass(frozen=True)
class Trial:
    """One trial, as kept in ops.tuning_trials.

    Attributes:
        number: 0, 1, … in the study.
        params: Settings tried.
        state: complete, pruned, failed or stopped.
        value: Mean |log error| over all folds, or over those scored before pruning; None without any.
        folds: The same after each fold scored.
        reason: Why it failed, was pruned or stopped; None when complete.
        seconds: Wall-clock time it took.
    """

    number: int
    params: Params
    state: str
    value: float | None
    folds: tuple[float, ...]
    reason: str | None
    seconds: float

    @property
    def pruned_step(self) -> int | None:
        """Folds scored when it was given up, or None when it was not pruned."""
        return len(self.folds) if self.state == TrialState.PRUNED else None


class Objective(Protocol):
    """What a trial computes, fold by fold."""

    @property
    def folds(self) -> int:
        """Number of folds."""
        ...

    def errors(self, params: Params, fold: int, deadline: Deadline, seed: int | None = None) -> Float:
        """Ln price − ln estimate of the fold's sales, shape (rows scored,); the config's seed when None.

        Raises:
            BudgetSpentError: When the deadline passes while fitting.
            TrialFailedError: When the settings cannot be fitted.
        """
        ...


@dataclass(frozen=True)
class Deadline:
    """A time of the monotonic clock, and CatBoost's callback that ends a fit there.

    Another process, whose clock may differ, gets the seconds that are left.

    Attributes:
        at: Time at which work ends.
        clock: The clock, in seconds.
    """

    at: float
    clock: Callable[[], float] = time.monotonic

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.clock() >= self.at

    def __reduce__(self) -> tuple[Callable[[float], Deadline], tuple[float]]:
        """Pickle as the seconds that are left."""
        return _deadline_in, (self.at - self.clock(),)

    def after_iteration(self, info: Any) -> bool:  # noqa: ARG002 - CatBoost's callback signature
        """Whether CatBoost may grow another tree."""
        return not self.passed


def _deadline_in(seconds: float) -> Deadline:
    return Deadline(time.monotonic() + seconds)


@dataclass(frozen=True)
class StudyConfig:
    """How long and how a study searches.

    Attributes:
        seconds: Wall-clock budget of one call.
        trials: Trials at most, over all its calls.
        startup: Complete trials before any is pruned, and random ones before the sampler models the space.
        seed: Seed of the sampler.
    """

    seconds: float = 300.0
    trials: int = 60
    startup: int = 6
    seed: int = 17


@dataclass(frozen=True)
class StudyResult:
    """Every trial of a study, old and new.

    Attributes:
        name: The study.
        trials: In order.
        out_of_time: Whether the budget, not the number of trials, ended it.
        importance: Dimension to its share in explaining the error; empty below four complete trials.
    """

    name: str
    trials: tuple[Trial, ...]
    out_of_time: bool
    importance: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The complete trial with the smallest error."""
        complete = [t for t in self.trials if t.state == TrialState.COMPLETE and t.value is not None]
        return min(complete, key=lambda t: (t.value, t.number)) if complete else None

    @property
    def scored(self) -> int:
        """Trials that give information about the space: complete or pruned."""
        return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Time of all trials."""
        return sum(trial.seconds for trial in self.trials)


def run_study(
    name: str,
    space: Space,
    objective: Objective,
    *,
    start: Sequence[Params],
    config: StudyConfig,
    earlier: Sequence[Trial] = (),
    keep: Callable[[Trial], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> StudyResult:
    """Search a space until the budget or the trials are spent.

    Args:
        name: The study.
        space: What may change.
        objective: What a trial computes.
        start: Settings tried first: those in force, the recipe's, the best of an earlier study. Those outside
            the space are left out.
        config: Budget and seed.
        earlier: Trials of this study from an earlier call; their number counts, their time does not.
        keep: Called with each trial as it ends, before the next begins; write it down here.
        clock: Seconds; injected by tests.

    Returns:
        All trials. A trial whose settings fail is a trial with a reason; any other error ends the study.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=config.seed + len(earlier), n_startup_trials=config.startup),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=config.startup, n_warmup_steps=0),
    )
    dims, trials = distributions(space), list(earlier)
    for trial in earlier:
        if trial.state != TrialState.STOPPED:
            study.add_trial(_as_optuna_trial(trial, dims, optuna))
    tried = [dict(trial.params) for trial in earlier if trial.state != TrialState.STOPPED]
    unfinished = [trial.params for trial in earlier if trial.state == TrialState.STOPPED]
    for params in [*unfinished, *start]:
        if inside(space, params) and dict(params) not in tried:
            study.enqueue_trial(dict(params))
            tried.append(dict(params))
    deadline = Deadline(clock() + config.seconds, clock)
    while len(trials) < config.trials and not deadline.passed:
        asked = study.ask(dims)
        trial = _try(asked, len(trials), objective, deadline)
        if trial.state != TrialState.STOPPED:
            study.tell(
                asked,
                trial.value if trial.state == TrialState.COMPLETE else None,
                state=_state(trial, optuna),
            )
        trials.append(trial)
        keep(trial)
    return StudyResult(name, tuple(trials), len(trials) < config.trials, _importance(study, optuna))


def _try(asked: Any, number: int, objective: Objective, deadline: Deadline) -> Trial:
    begun, params = deadline.clock(), dict(asked.params)
    total, rows, means = 0.0, 0, []
    state, reason = TrialState.COMPLETE, None
    try:
        for fold in range(objective.folds):
            errors = objective.errors(params, fold, deadline)
            error, n = float(np.abs(errors).sum()), len(errors)
            _require_finite(error, n, fold)
            total, rows = total + error, rows + n
            means.append(total / rows)
            asked.report(means[-1], fold)
            if fold + 1 < objective.folds and asked.should_prune():
                state, reason = (
                    TrialState.PRUNED,
                    f"worse than the median trial after {fold + 1} of {objective.folds} folds",
                )
                break
    except BudgetSpentError:
        state, reason = TrialState.STOPPED, "the study's budget ended during a fit"
    except TrialFailedError as error:
        state, reason = TrialState.FAILED, str(error)
    value = means[-1] if means and state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    return Trial(number, params, state, value, tuple(means), reason, deadline.clock() - begun)


def _require_finite(error: float, n: int, fold: int) -> None:
    if not math.isfinite(error) or n == 0:
        raise TrialFailedError(f"fold {fold}: expected a finite error, found {error} over {n} sales")


def _state(trial: Trial, optuna: Any) -> Any:
    states = optuna.trial.TrialState
    return {
        TrialState.COMPLETE: states.COMPLETE,
        TrialState.PRUNED: states.PRUNED,
        TrialState.FAILED: states.FAIL,
    }[TrialState(trial.state)]


def _as_optuna_trial(trial: Trial, dims: dict[str, Any], optuna: Any) -> Any:
    return optuna.trial.create_trial(
        params=dict(trial.params),
        distributions=dims,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        state=_state(trial, optuna),
        intermediate_values=dict(enumerate(trial.folds)),
    )


def _importance(study: Any, optuna: Any) -> dict[str, float]:
    values = {t.value for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE}
    if len(values) < 4:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
