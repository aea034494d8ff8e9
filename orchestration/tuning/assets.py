"""Group models: the tuning study, under a budget.

Here: glue. Not here: which settings are tried and when they are adopted (`ml.tuning`), or the budget
(`orchestration.tuning.study`).
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from ml.text.visible import visible
from orchestration.conventions import MODEL_TEAM
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots

if TYPE_CHECKING:
    from ml.tuning.scope import Outcome
    from ml.tuning.study import StudyResult


class TuningRequest(dg.Config):
    """What to tune and for how long."""

    level: str = Field("all", description="pooled, collections or all")
    budget_s: float = Field(0, description="seconds of this run; 0 means the setting ASSAY_TUNING_BUDGET_S")
    markets: list[str] = Field([], description="only these markets; empty means all")


# No writer slot: a study takes minutes and writes for milliseconds, and the main job must go on meanwhile.
@dg.asset(
    group_name="models",
    deps=["pooled_prior", "price_models"],
    owners=MODEL_TEAM,
    kinds={"optuna", "catboost"},
    description="Searches settings of the pooled prior and of the collections worth it, and adopts what wins on sales "
    "later than those it searched on. Trials: ops.tuning_trials; verdicts: ops.tuned_settings.",
)
def tuning_study(
    context: dg.AssetExecutionContext, config: TuningRequest, assay: AssayResource
) -> dg.MaterializeResult:
    """`ops.tuning_trials`, `ops.tuned_settings`, `reports/tuning.json`."""
    from orchestration.tuning.budget import level_of
    from orchestration.tuning.study import tune_home

    outcomes = tune_home(
        assay,
        run_id=context.run_id,
        level=level_of(config.level),
        seconds=config.budget_s or assay.settings.tuning_budget_s,
        markets=config.markets or None,
        say=context.log.info,
    )
    return dg.MaterializeResult(metadata=outcome_metadata(outcomes))


def outcome_metadata(outcomes: "list[Outcome]") -> dict[str, Any]:
    """What a tuning run shows in the UI: verdicts, and a plot of each study."""
    rows = [
        {
            "kind": outcome.kind,
            "scope": outcome.scope,
            "adopted": outcome.verdict.adopted if outcome.verdict else None,
            "reason": outcome.reason,
            "trials": len(outcome.study.trials) if outcome.study else 0,
        }
        for outcome in outcomes
    ]
    pictures = {
        f"study_{visible(outcome.scope)}": plots.drawn("The study", partial(_picture, outcome, outcome.study))
        for outcome in outcomes
        if outcome.study
    }
    return {
        "adopted": sum(bool(row["adopted"]) for row in rows),
        "trials": sum(int(str(row["trials"])) for row in rows),
        "verdicts": dg.MetadataValue.json(rows),
        **pictures,
    }


def _picture(outcome: "Outcome", study: "StudyResult") -> dg.MarkdownMetadataValue:
    trials = [(trial.number, trial.value, trial.state) for trial in study.trials]
    return plots.study_plot(f"{outcome.kind} {outcome.scope}", trials, study.importance)


TUNING_ASSETS = [tuning_study]
