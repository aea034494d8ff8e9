"""Group models: the pooled prior, and one model per collection.

Here: glue between the lake, `ml.models` and Dagster's partitions. Not here: fitting, judging, registering (`ml`).
`price_models` (a range of partitions in one run) and the job `retrain_worklist` (any scattered list) both call
`train_and_record`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml.states import Action
from ml.text.markdown import markdown_text
from ml.text.visible import visible
from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots
from orchestration.output.parts import report_parts
from orchestration.partitions import collection_key, collection_of, collections
from orchestration.resources import Assay

if TYPE_CHECKING:
    from ml.registry.champion import Champion
    from ml.training.collections import TrainingConfig, TrainingOutcome, TrainingReport
    from ml.training.pooled import PooledConfig, PooledOutcome
    from ml.training.walk_forward import Fold

PRICE_MODELS = dg.AssetKey("price_models")


def pooled_config(assay: Assay) -> "PooledConfig":
    """Configuration of the pooled stage from the settings."""
    from ml.training.pooled import PooledConfig

    config = PooledConfig()
    walk = config.walk_forward
    threads = assay.settings.threads
    return replace(
        config,
        walk_forward=replace(
            walk,
            refits=assay.settings.refits,
            prior=replace(walk.prior, threads=threads),
            scale=replace(walk.scale, threads=threads),
        ),
    )


def training_config(assay: Assay) -> "TrainingConfig":
    """Configuration of per-collection training from the settings."""
    from ml.training.collections import TrainingConfig

    # A collection that is asked for is always judged; what is due by itself is decided before (`ml.training.due`).
    config = TrainingConfig(failure_share=assay.settings.failure_budget, refit_all=True)
    local = replace(config.candidate.local, seconds=assay.settings.fit_time_limit_s)
    return replace(config, candidate=replace(config.candidate, local=local))


@dg.asset(
    group_name="models",
    deps=["sale_features"],
    owners=MODEL_TEAM,
    kinds={"catboost", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("predictions.prior_walk_forward"),
    description="One CatBoost model over all collections, on gaps to the hedonic index, walked forward through time: "
    "its out-of-fold predictions are the reported error, the residuals local models learn, and the calibration.",
)
def pooled_prior(context: dg.AssetExecutionContext, assay: AssayResource) -> dg.MaterializeResult:
    """`predictions.prior_walk_forward`, `ops.prior_folds`, `ops.interval_calibration`, `ops.portfolio_risk`."""
    outcome = train_prior(
        assay, context.run_id, lambda fold: context.log.info(f"fold {fold.number}: {fold.rows} sales")
    )
    walked = outcome.walk_forward
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(outcome.frame),
            "prior_version": outcome.prior_version or "none",
            "folds": len(walked.folds),
            "refitted": outcome.refitted,
            "decision": outcome.decision.reason if outcome.decision else "nothing was due",
            "errors": plots.drawn(
                "The histogram of errors",
                lambda: plots.error_histogram(
                    (walked.prediction_log - outcome.frame.target_log)[walked.fold > 0]
                ),
            ),
        }
    )


@dg.asset(
    group_name="models",
    deps=["pooled_prior", "sale_features", "dim_tokens"],
    partitions_def=collections,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=MODEL_TEAM,
    kinds={"catboost", "mlflow"},
    pool=LAKE_WRITER,
    description="The champion of each collection: index parameters, pooled prior, local CatBoost residual and a weight "
    "an earlier window supports (possibly 0), interval width. A challenger must beat baselines and champion.",
)
def price_models(context: dg.AssetExecutionContext, assay: AssayResource) -> dg.MaterializeResult:
    """Any range of collections in one run."""
    report = train_and_record(
        assay, [collection_of(key) for key in context.partition_keys], run_id=context.run_id
    )
    for outcome in report.outcomes:
        key = collection_key(outcome.collection)
        context.add_asset_metadata(champion_metadata(outcome.champion), partition_key=key)
    return dg.MaterializeResult(metadata=report_metadata(report))


def train_prior(
    assay: Assay, run_id: str, on_fold: "Callable[[Fold], None] | None" = None
) -> "PooledOutcome":
    """The pooled stage: new sales are predicted, folds that are due or lost are fitted, all is recorded."""
    from ml.portfolio.past import record_portfolio_risk
    from ml.registry.mirror import adopt_moved_aliases
    from ml.registry.rebuilding import rebuild_lost_models
    from ml.training.pooled import train_pooled
    from ml.training.pooled_tables import record_pooled
    from orchestration.models.lost_files import find_lost_files

    find_lost_files(assay)
    with assay.lake.read(assay.lake.snapshot_id()) as con:
        outcome = train_pooled(
            con, assay.registry.artifacts, run_id=run_id, config=pooled_config(assay), on_fold=on_fold
        )
    with assay.lake.write("record the pooled prior") as con:
        record_pooled(con, outcome)
        record_portfolio_risk(con)
        rebuild_lost_models(con, assay.registry, run_id, assay.as_of)
        # Every collection is judged anew after this: the time to take over champions that were moved back by hand.
        adopt_moved_aliases(con, assay.registry, run_id)
    return outcome


def learn_newest_sales(assay: Assay, run_id: str) -> bool:
    """Let the pooled stage predict what it has not seen, if that is a day of sales or more; returns whether it did.

    A collection learns from the errors of those predictions. They are renewed every week; a training out of turn that
    did not renew them would not learn from the sales it was asked for.
    """
    from ml.training.due import predictions_lag

    with assay.lake.read() as con:
        lag = predictions_lag(con)
    if lag is None or lag < timedelta(days=1):
        return False
    train_prior(assay, run_id)
    return True


def train_and_record(
    assay: Assay,
    keys: Sequence[str],
    *,
    run_id: str,
    on_result: "Callable[[TrainingOutcome], None] | None" = None,
) -> "TrainingReport":
    """Train the keys, write champions and decisions in one transaction, fail past the failure budget.

    Raises:
        FailureBudgetExceededError: after everything that succeeded was recorded.
    """
    from ml.index.params import DEFAULT_PARAMS
    from ml.retraining.queue import mark_trained
    from ml.training.collections import record_training, train_collections
    from orchestration.compute import compute_backend
    from orchestration.models.checks import record_failures
    from orchestration.models.lost_files import find_lost_files

    trained = count(1)

    def finish(outcome: "TrainingOutcome") -> None:
        report_parts("collections", next(trained), len(set(keys)))
        if on_result:
            on_result(outcome)

    find_lost_files(assay)
    snapshot = assay.lake.snapshot_id()
    with assay.lake.read(snapshot) as con:
        report = train_collections(
            con,
            keys,
            assay.registry,
            run_id=run_id,
            snapshot_id=snapshot,
            index_fingerprint=DEFAULT_PARAMS.fingerprint(),
            config=training_config(assay),
            backend=compute_backend(assay.settings),
            on_result=finish,
        )
    with assay.lake.write(f"record {len(report.outcomes)} trained collections") as con:
        record_training(con, report)
        tried = [outcome.collection for outcome in report.outcomes if outcome.status != Action.FAILED]
        mark_trained(con, tried, run_id, assay.as_of, assay.settings.retrain_cooldown_h)
        record_failures(con, report.outcomes, run_id, assay.as_of)
    report.check_failure_budget()
    return report


def note_launch(assay: Assay, keys: Sequence[str], run_id: str) -> None:
    """Mark these in the queue as being trained. Only collections that wait there are written."""
    from ml.retraining.queue import mark_launched, read_queue

    with assay.lake.read() as con:
        queue = read_queue(con, assay.as_of)
    if waiting := set(keys) & {*queue.queued, *queue.retune}:
        with assay.lake.write(f"{len(waiting)} collections are being trained again") as con:
            mark_launched(con, sorted(waiting), run_id, assay.as_of)


def report_metadata(report: "TrainingReport") -> dict[str, Any]:
    """What a training run shows in the UI."""
    failed = "\n".join(
        f"- {markdown_text(o.collection)}: {markdown_text(o.reason or '')}" for o in report.failed[:50]
    )
    return {
        **{f"collections_{action}": n for action, n in sorted(report.counts().items())},
        "seconds": report.seconds,
        "fit_seconds": report.fit_seconds,
        "failures_allowed": report.failures_allowed,
        "failed": dg.MetadataValue.md(failed or "none"),
    }


def log_outcome(context: dg.OpExecutionContext, outcome: "TrainingOutcome") -> None:
    """A materialization of the collection's own partition when its champion changed; a line in the log on failure.

    A challenger that changed nothing is a row of ops.decision_log, not an event: an event costs 17 ms, a fit 30.
    """
    if outcome.status == Action.FAILED:
        context.log.error(visible(f"{outcome.collection}: {outcome.reason}"))
    elif outcome.decision is not None and outcome.decision.action in (Action.PROMOTED, Action.FELL_BACK):
        context.log_event(
            dg.AssetMaterialization(
                PRICE_MODELS,
                partition=collection_key(outcome.collection),
                metadata={
                    "action": str(outcome.decision.action),
                    "reason": outcome.reason,
                    **champion_metadata(outcome.champion),
                    "fit_seconds": outcome.fit_seconds,
                },
            )
        )


def champion_metadata(champion: "Champion | None") -> dict[str, Any]:
    """What the partition of a collection shows of its champion: version, tier, error when judged, newest sale."""
    if champion is None:
        return {"model_version": "none", "tier": "none"}
    error = champion.numbers.get("candidate")
    return {
        "model_version": champion.model_version,
        "tier": str(champion.tier),
        # ln price − ln estimate: 0.10 is about 10 %.
        "mean_abs_log_error": error
        if error is not None and isfinite(error)
        else "too few sales to measure it",
        "sales": champion.numbers.get("sales", "unknown"),
        "trained_until": dg.MetadataValue.timestamp(champion.trained_until.replace(tzinfo=UTC)),
    }


MODEL_ASSETS = [pooled_prior, price_models]
