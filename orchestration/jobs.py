"""The jobs: which assets are built together, and the worklist job for scattered collections.

Here: selections, and two ops. Not here: what the assets do. One asset job can hold only one partitioning,
and facts are by month while models are by collection; that is why a full run is several jobs in order
(`pipeline.py`), and why the job `everything` is an op that conducts them.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.checks.definition import Look
from orchestration.checks.factory import evaluation_of, judge
from orchestration.conventions import LAKE_WRITER
from orchestration.models.checks import NONE_LEFT_FAILED
from orchestration.output.progress import console_logger, progress_logger
from orchestration.resources import AssayResource
from orchestration.retraining.restoring import restore_champions

ingest = dg.define_asset_job(
    "ingest", dg.AssetSelection.groups("raw"), description="Bring the raw tables up to date with the source."
)
build = dg.define_asset_job(
    "build",
    dg.AssetSelection.groups("marts") | dg.AssetSelection.assets("hedonic_index", "sale_features"),
    description="Marts, index and sale features from what was ingested; only what changed is rebuilt.",
)
train = dg.define_asset_job(
    "train",
    dg.AssetSelection.assets("pooled_prior", "price_models", "walk_forward_accuracy"),
    description="Pooled prior, the models of a range of collections in one run (single-run backfill), their accuracy.",
)
score = dg.define_asset_job(
    "score",
    dg.AssetSelection.assets("token_features", "token_estimates"),
    description="Value every token with the champions. Loads models, trains none.",
)


class Worklist(dg.Config):
    """Which collections to train, and why."""

    collections: list[str] = Field(description="partition keys of price_models, in any order")
    reason: str = Field(description="why they are trained now; shown with the run")
    learn_newest: bool = Field(
        default=False,
        description="first let the pooled prior predict sales it has not seen, so that the training knows its errors",
    )


@dg.op(
    pool=LAKE_WRITER,
    description="Train the listed collections in this one run; each success is a materialization of its own partition.",
)
def train_worklist(context: dg.OpExecutionContext, config: Worklist, assay: AssayResource) -> dict[str, int]:
    """Any scattered set of collections in one process (docs/adr/0002); returns collections by action."""
    from orchestration.models import assets as models

    models.note_launch(assay, config.collections, context.run_id)
    context.log.info(f"{len(config.collections)} collections: {config.reason}")
    if config.learn_newest and models.learn_newest_sales(assay, context.run_id):
        context.log_event(
            dg.AssetMaterialization(
                models.pooled_prior.key, description="asked for its predictions of the newest sales"
            )
        )
    report = models.train_and_record(
        assay,
        config.collections,
        run_id=context.run_id,
        on_result=lambda outcome: models.log_outcome(context, outcome),
    )
    context.add_output_metadata(models.report_metadata(report))
    with assay.lake.read() as con:
        finding = judge(NONE_LEFT_FAILED, Look(con, assay.horizon))
    # Dagster takes check evaluations here too, whatever the signature says.
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


@dg.op(
    description="Ingest, build, train what is due, score, monitor: the jobs in order, each as a run of its own."
)
def conduct(context: dg.OpExecutionContext, assay: AssayResource) -> None:
    """What `assay run` does, from the UI or a schedule."""
    from orchestration.runs.main_job import run_everything

    summary = run_everything(assay.settings, context.instance)
    context.add_output_metadata(
        {
            "collections": summary.collections,
            "tokens_estimated": summary.tokens_estimated,
            "sales": summary.sales,
        }
    )


@dg.job(description="The whole main job, end to end.", executor_def=dg.in_process_executor)
def everything() -> None:
    """One op that conducts the other jobs."""
    conduct()


tune = dg.define_asset_job(
    "tune",
    dg.AssetSelection.assets("tuning_study"),
    description="Search settings under a budget; adopt what wins on later sales.",
)

maintain = dg.define_asset_job(
    "maintain",
    dg.AssetSelection.assets("lake_maintenance"),
    description="Compact the lake and expire snapshots past their retention.",
)

monitor = dg.define_asset_job(
    "monitor",
    # The walk-forward accuracy changes with training, and is made there.
    dg.AssetSelection.groups("monitoring") - dg.AssetSelection.assets("walk_forward_accuracy"),
    description="One monitoring pass: the ledger of errors, SLOs, and what is decided from them.",
)


@dg.op(
    description="Ingest, build, score, monitor: the jobs in order, each as a run of its own. Trains nothing."
)
def conduct_refresh(context: dg.OpExecutionContext, assay: AssayResource) -> None:
    """The hourly path."""
    from orchestration.runs.main_job import run_refresh

    context.add_output_metadata(run_refresh(assay.settings, context.instance))


@dg.job(
    description="What became known, valued and judged; trains nothing.", executor_def=dg.in_process_executor
)
def refresh() -> None:
    """One op that conducts the other jobs."""
    conduct_refresh()


JOBS: list[Any] = [
    ingest,
    build,
    train,
    score,
    retrain_worklist,
    restore_champions,
    everything,
    refresh,
    maintain,
    tune,
    monitor,
]
