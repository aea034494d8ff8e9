"""The jobs `everything` and `refresh`, which run the other jobs in order.

Here: an op each. Not here: the order (`orchestration.runs.main_job`). One asset job can hold only one partitioning,
and facts are by month while models are by collection; that is why a full run is several jobs in order.
"""

import dagster as dg

from orchestration.code_location import LocationResource
from orchestration.run_origin import tags_within
from orchestration.runs.main_job import run_everything, run_refresh


@dg.op(
    description="Ingest, build, train what is due, score, monitor, publish: the jobs in order, each a run of its own."
)
def run_all_jobs(context: dg.OpExecutionContext, location: LocationResource) -> None:
    """What `assay run` does, from the UI or a schedule."""
    summary = run_everything(location, context.instance, tags=tags_within(context))
    context.add_output_metadata(
        {
            "collections": summary.collections,
            "tokens_estimated": summary.tokens_estimated,
            "sales": summary.sales,
        }
    )


@dg.job(description="The whole main job, end to end.", executor_def=dg.in_process_executor)
def everything() -> None:
    """One op that runs the other jobs."""
    run_all_jobs()


@dg.op(
    description="Ingest, build, score, monitor, publish: the jobs in order, each as a run of its own. Trains nothing."
)
def run_refresh_jobs(context: dg.OpExecutionContext, location: LocationResource) -> None:
    """The hourly path."""
    context.add_output_metadata(run_refresh(location, context.instance, tags_within(context)))


@dg.job(
    description="What became known, valued and judged; trains nothing.", executor_def=dg.in_process_executor
)
def refresh() -> None:
    """One op that runs the other jobs."""
    run_refresh_jobs()
