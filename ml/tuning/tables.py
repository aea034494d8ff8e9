"""Trials and verdicts in the lake: ops.tuning_trials and ops.tuned_settings.

Here: writing and reading them. Not here: their columns (`ml.tables.ops_models`), or who reads adopted
settings for a fit (`ml.models.tuned_settings`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from ml.models.tuned_settings import COLLECTION
from ml.registry.mirror import Decision, record
from ml.states import Action, TrialState
from ml.tables.ops_models import TUNED_SETTINGS, TUNING_TRIALS
from ml.tables.writing import append
from ml.tuning.study import Trial

_SCHEMAS = {table.name: table.arrow() for table in (TUNING_TRIALS, TUNED_SETTINGS)}


@dataclass(frozen=True)
class Verdict:
    """One row of ops.tuned_settings, with its row of ops.decision_log.

    Attributes:
        kind: market, collection or class.
        scope: Market, collection or name of the class.
        recipe: Features and defaults that it was measured against.
        study: The study; for a class the newest of its studies.
        params: Settings found; None when no trial was better than those in force.
        adopted: Whether fits use them from `decided_at` on.
        rule: later_window, buys_nothing, buys_too_little, shifts_level, already_best or class_buys_nothing.
        reason: The same for people.
        numbers: What was measured on the later window (see `judgement.Gain`); empty without a comparison.
        later_from: Where the later window begins.
        decided_at: Newest `known_at` in the data (as-of time).
        expires: Until when the verdict stands: the scope is not tuned again before.
        trials: Trials of the study.
        seconds: What it cost.
    """

    kind: str
    scope: str
    recipe: str
    study: str
    params: Mapping[str, Any] | None
    adopted: bool
    rule: str
    reason: str
    numbers: Mapping[str, float]
    later_from: datetime
    decided_at: datetime
    expires: datetime
    trials: int
    seconds: float


def write_trial(
    con: duckdb.DuckDBPyConnection,
    study: str,
    kind: str,
    scope: str,
    trial: Trial,
    window: tuple[datetime, datetime],
) -> None:
    """Write one trial, replacing the one of the same number, in the caller's transaction."""
    con.execute("delete from ops.tuning_trials where study = $1 and trial = $2", [study, trial.number])
    row: dict[str, Any] = {
        "study": study,
        "scope_kind": kind,
        "scope": scope,
        "trial": trial.number,
        "params": json.dumps(dict(trial.params), sort_keys=True),
        "value": trial.value,
        "state": trial.state,
        "reason": trial.reason,
        "seconds": trial.seconds,
        "folds": json.dumps(list(trial.folds)),
        "pruned_step": trial.pruned_step,
        "window_start": window[0],
        "window_end": window[1],
    }
    _append(con, "ops.tuning_trials", row)


def read_trials(con: duckdb.DuckDBPyConnection, study: str) -> list[Trial]:
    """The trials of a study, in order."""
    rows = con.execute(
        "select trial, params, state, value, folds, reason, seconds from ops.tuning_trials where study = $1 order by 1",
        [study],
    ).fetchall()
    return [
        Trial(row[0], json.loads(row[1]), row[2], row[3], tuple(json.loads(row[4])), row[5], row[6])
        for row in rows
    ]


def best_of_last_study(
    con: duckdb.DuckDBPyConnection, kind: str, scope: str, study: str
) -> dict[str, Any] | None:
    """The best settings of the scope's newest other study; where the next one starts."""
    row = con.execute(
        """
        select params from ops.tuning_trials
        where scope_kind = $1 and scope = $2 and study <> $3 and state = $4
        order by window_end desc, value, trial limit 1
        """,
        [kind, scope, study, TrialState.COMPLETE],
    ).fetchone()
    return dict(json.loads(row[0])) if row else None


def write_verdict(con: duckdb.DuckDBPyConnection, verdict: Verdict, run_id: str) -> None:
    """Write what a study led to and its decision, replacing those of the same study, in the caller's transaction."""
    con.execute(
        "delete from ops.tuned_settings where scope_kind = $1 and scope = $2 and study = $3",
        [verdict.kind, verdict.scope, verdict.study],
    )
    numbers = verdict.numbers
    row: dict[str, Any] = {
        "scope_kind": verdict.kind,
        "scope": verdict.scope,
        "recipe": verdict.recipe,
        "study": verdict.study,
        "params": json.dumps(dict(verdict.params or {}), sort_keys=True),
        "adopted": verdict.adopted,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "sales": int(numbers["n"]) if numbers else None,
        "before_log": numbers.get("before"),
        "after_log": numbers.get("after"),
        "gain": numbers.get("gain"),
        "gain_low": numbers.get("low"),
        "gain_high": numbers.get("high"),
        "later_from": verdict.later_from,
        "decided_at": verdict.decided_at,
        "expires": verdict.expires,
        "trials": verdict.trials,
        "seconds": verdict.seconds,
        "numbers": json.dumps(dict(numbers), sort_keys=True),
    }
    _append(con, "ops.tuned_settings", row)
    record(con, [], [_decision(verdict, run_id)])


def standing(con: duckdb.DuckDBPyConnection, recipe: str, kind: str) -> dict[str, datetime]:
    """Until when the verdict on each scope stands, in the as-of time of that scope.

    Sources end at different times: whether a verdict still stands is asked with the newest sale of the scope, not of
    the lake, or a chain whose data ended years ago would be studied again on the same sales for ever.
    """
    rows = con.execute(
        "select scope, max(expires) from ops.tuned_settings where recipe = $1 and scope_kind = $2 group by 1",
        [recipe, kind],
    ).fetchall()
    return dict(rows)


def newest_verdicts(
    con: duckdb.DuckDBPyConnection, recipe: str, kind: str
) -> list[tuple[str, str, bool, datetime]]:
    """(scope, study, adopted, expires) of the newest verdict on every scope, in order of scope."""
    return con.execute(
        """
        select scope, study, adopted, expires from ops.tuned_settings
        where recipe = $1 and scope_kind = $2
        qualify row_number() over (partition by scope order by decided_at desc, study desc) = 1
        order by scope
        """,
        [recipe, kind],
    ).fetchall()


def _decision(verdict: Verdict, run_id: str) -> Decision:
    return Decision(
        decided_at=verdict.decided_at,
        run_id=run_id,
        collection=verdict.scope
        if verdict.kind == COLLECTION
        else f"(tuning) {verdict.kind} {verdict.scope}",
        action=Action.TUNED if verdict.adopted else Action.NOT_TUNED,
        rule=verdict.rule,
        reason=verdict.reason,
        numbers={**verdict.numbers, "params": dict(verdict.params or {}), "trials": verdict.trials},
        challenger=verdict.study,
        champion=None,
    )


def _append(con: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    append(con, table, pa.Table.from_pylist([row], schema=_SCHEMAS[table]))
