"""The jobs `train` and `retrain_worklist`.

Here: a selection, and the op that trains scattered collections. Not here: training (`orchestration.models.assets`,
`ml.training`).
"""

import dagster as dg
from pydantic import Field

from orchestration.checks.definition import CheckContext
from orchestration.checks.factory import evaluation_of, judge
from orchestration.conventions import LAKE_WRITER
from orchestration.dagster_resources import AssayResource
from orchestration.models.assets import (
    learn_newest_sales,
    log_outcome,
    note_launch,
    pooled_prior,
    report_metadata,
    train_and_record,
)
from orchestration.models.checks import NONE_LEFT_FAILED
from orchestration.output.progress import console_logger, progress_logger

train = dg.define_asset_job(
    "train",
    dg.AssetSelection.assets("pooled_prior", "price_models", "walk_forward_accuracy"),
    description="Pooled prior, the models of a range of collections in one run (single-run backfill), their accuracy.",
)


class Worklist(dg.Config):
    """Which collections to train, and why."""

    collections: list[str] = Field(description="partition keys of price_models, in any order")
    reason: str = Field(description="why they are trained now; shown with the run")
    learn_newest: bool = Field(
        default=False,
        description="first let the pooled prior predict sales it has not seen: the training learns from its errors",
    )


@dg.op(
    pool=LAKE_WRITER,
    description="Train the listed collections in this one run; each success is a materialization of its own partition.",
)
def train_worklist(context: dg.OpExecutionContext, config: Worklist, assay: AssayResource) -> dict[str, int]:
    """Any scattered set of collections in one process (docs/adr/0002); returns collections by action."""
    note_launch(assay, config.collections, context.run_id)
    context.log.info(f"{len(config.collections)} collections: {config.reason}")
    if config.learn_newest and learn_newest_sales(assay, context.run_id):
        context.log_event(
            dg.AssetMaterialization(
                pooled_prior.key, description="asked for its predictions of the newest sales"
            )
        )
    report = train_and_record(
        assay,
        config.collections,
        run_id=context.run_id,
        on_result=lambda outcome: log_outcome(context, outcome),
    )
    context.add_output_metadata(report_metadata(report))
    with assay.lake.read() as con:
        finding = judge(NONE_LEFT_FAILED, CheckContext(con, assay.as_of))
    # Dagster takes check evaluations here too, although the signature does not include them.
    context.log_event(evaluation_of(NONE_LEFT_FAILED, finding))  # type: ignore[arg-type]
    return report.counts()


@dg.job(
    description="Train a list of scattered collections in one run.",
    executor_def=dg.in_process_executor,
    logger_defs={"console": console_logger, "progress": progress_logger},
)
def retrain_worklist() -> None:
    """One op; its config is the list."""
    train_worklist()
