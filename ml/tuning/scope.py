"""One scope from its folds to a verdict: search, compare on the later window, decide.

Here: what is the same for a market and a collection. Not here: how their folds are made (`ml.tuning.markets`,
`ml.tuning.collections`).

Concept: the budget is cut in two before anything runs: one part searches, the rest is for the comparison. A search
that used everything up would have found a setting that may not be adopted.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.tables.writing import timestamp
from ml.tuning.journal import Journal
from ml.tuning.judgement import AdoptionRule, adopted, paired_gain
from ml.tuning.spaces import Space
from ml.tuning.study import BudgetSpentError, Deadline, Objective, StudyConfig, StudyResult, Trial, run_study
from ml.tuning.tables import Verdict
from ml.tuning.windows import WindowConfig, Windows


@dataclass(frozen=True)
class TuningConfig:
    """How a scope is tuned.

    Attributes:
        study: Budget of one scope's study and of its judgement together, trials, seed.
        windows: Folds and later window.
        rule: When a setting is adopted.
        judge_share: Share of the budget kept for the later window.
        min_trials: Trials with a score below which a study decides nothing: the next call continues it.
        rows: Rows a fit of the search may use; the judgement uses what production uses.
        expire_days: Days of as-of time for which a verdict stands.
    """

    study: StudyConfig = field(default_factory=StudyConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    rule: AdoptionRule = field(default_factory=AdoptionRule)
    judge_share: float = 0.35
    min_trials: int = 8
    rows: int = 25_000
    expire_days: float = 60.0

    def with_seconds(self, seconds: float) -> TuningConfig:
        """The same with another budget."""
        return replace(self, study=replace(self.study, seconds=seconds))

    def fingerprint(self) -> str:
        """Digest of what makes the trials of two calls comparable: folds and rows, not budgets."""
        shape = {"windows": asdict(self.windows), "rows": self.rows}
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Scope:
    """What is tuned.

    Attributes:
        kind: market or collection.
        name: Its name.
        recipe: Features and defaults that settings are measured against.
        space: What may change.
        in_force: Settings that fits use now, for every dimension.
        default: The recipe's settings, for every dimension.
        windows: Its windows.
        search: Scores settings on the tuning folds.
        later: Scores settings on the later window.
        clusters: Dense code of what is resampled together, one per sale of the later window's folds in order.
    """

    kind: str
    name: str
    recipe: str
    space: Space
    in_force: Mapping[str, Any]
    default: Mapping[str, Any]
    windows: Windows
    search: Objective
    later: Objective
    clusters: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a scope.

    Attributes:
        kind: market or collection.
        scope: Its name.
        reason: In words.
        study: Its study, or None when it was skipped.
        verdict: Its verdict, or None when it was skipped or ran out of time before one.
    """

    kind: str
    scope: str
    reason: str
    study: StudyResult | None = None
    verdict: Verdict | None = None


def tune_scope(
    scope: Scope, journal: Journal, config: TuningConfig, clock: Callable[[], float] = time.monotonic
) -> Outcome:
    """Search, compare and decide; every trial and the verdict are written down on the way.

    Args:
        scope: What is tuned.
        journal: Where it is remembered; a study that was killed continues from there.
        config: Budget, windows, rule.
        clock: Seconds; injected by tests.
    """
    begun = clock()
    until = timestamp(scope.windows.until)
    name = f"{scope.kind} {scope.name} {scope.recipe} {config.fingerprint()} {until:%Y-%m-%dT%H:%M:%S}"
    seconds = config.study.seconds
    last = journal.best_of_last_study(scope.kind, scope.name, name)
    study = run_study(
        name,
        scope.space,
        scope.search,
        start=[scope.in_force, scope.default, *([last] if last else [])],
        config=replace(config.study, seconds=seconds * (1.0 - config.judge_share)),
        earlier=journal.trials(name),
        keep=lambda trial: journal.keep(name, scope.kind, scope.name, trial, scope.windows),
        clock=clock,
    )
    best = study.best
    if best is None:
        failed = next((trial.reason for trial in study.trials if trial.reason), "no trial was begun")
        return Outcome(scope.kind, scope.name, f"no trial finished: {failed}; settings stay", study)
    if study.scored < config.min_trials:
        reason = (
            f"{study.scored} trials were scored, a verdict needs {config.min_trials}: settings stay; give it a larger "
            "budget, or call again and the study continues"
        )
        return Outcome(scope.kind, scope.name, reason, study)
    try:
        verdict = _judge(scope, study, best, config, Deadline(begun + seconds, clock))
    except BudgetSpentError:
        reason = "the budget ended during the comparison; settings stay, the next call continues there"
        return Outcome(scope.kind, scope.name, reason, study)
    journal.decide(verdict)
    return Outcome(scope.kind, scope.name, verdict.reason, study, verdict)


def _judge(
    scope: Scope, study: StudyResult, best: Trial, config: TuningConfig, deadline: Deadline
) -> Verdict:
    until = scope.windows.until
    numbers: dict[str, float] = {}
    if dict(best.params) == dict(scope.in_force):
        decision = False, "already_best", f"none of {len(study.trials)} trials beat the settings in force"
    else:
        seeds, folds = config.rule.seeds, range(scope.later.folds)
        before, after = (
            [
                np.concatenate([scope.later.errors(side, fold, deadline, seed) for fold in folds])
                for seed in seeds
            ]
            for side in (scope.in_force, best.params)
        )
        gain = paired_gain(before, after, scope.clusters, config.rule, config.study.seed)
        numbers, decision = gain.numbers(), adopted(gain, config.rule)
    return Verdict(
        kind=scope.kind,
        scope=scope.name,
        recipe=scope.recipe,
        study=study.name,
        params=best.params,
        adopted=decision[0],
        rule=decision[1],
        reason=decision[2],
        numbers=numbers,
        later_from=timestamp(scope.windows.later_from),
        decided_at=timestamp(until),
        expires=timestamp(until) + timedelta(days=config.expire_days),
        trials=len(study.trials),
        seconds=study.seconds,
    )
