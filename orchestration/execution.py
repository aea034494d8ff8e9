"""One job in this process: what its run is known by, and a request to stop that ends it as cancelled.

Here: the only place that executes a job. Not here: which jobs in which order (`orchestration.runs.main_job`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.interruptions import StopRequestedError, noticed_signals
from orchestration.output.progress import observing
from orchestration.run_origin import origin_tags
from orchestration.states import StepState

if TYPE_CHECKING:
    from orchestration.code_location import CodeLocation


def execute(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    job: str,
    *,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    assets: Sequence[str] | None = None,
    raise_on_error: bool = False,
) -> dg.ExecuteInProcessResult:
    """Execute a job to its end.

    Args:
        location: The home and its jobs.
        instance: The Dagster instance of the home.
        job: Its name.
        tags: More tags of the run.
        config: Of the run, without loggers.
        assets: Only these of its assets; None: all.
        raise_on_error: Whether the error of a step is raised.

    Raises:
        StopRequestedError: Ctrl-C or SIGTERM; the run is marked as cancelled, and what was committed stays.
    """
    loggers = {"console": {"config": {"log_level": location.assay.settings.log_level}}, "progress": {}}
    run_id = str(uuid.uuid4())
    with noticed_signals() as signal_that_came:

        def look(state: StepState, _step: str, _seconds: float) -> None:
            number = signal_that_came()
            if number is None:
                return
            _note_cancellation(instance, run_id)
            if (
                state == StepState.STARTED
            ):  # a step before it has taken the exception for an error, and is tried again
                raise StopRequestedError(number)

        try:
            with observing(look):
                result = location.definitions.resolve_job_def(job).execute_in_process(
                    instance=instance,
                    run_config={"loggers": loggers, **(config or {})},
                    tags={**origin_tags(location), **(tags or {})},
                    asset_selection=[dg.AssetKey(a) for a in assets] if assets else None,
                    raise_on_error=raise_on_error,
                    run_id=run_id,
                )
        except BaseException as error:
            if number := signal_that_came():
                raise StopRequestedError(number) from error
            raise
        if number := signal_that_came():
            raise StopRequestedError(number)
        return result


def _note_cancellation(instance: dg.DagsterInstance, run_id: str) -> None:
    """A run that is being cancelled ends as cancelled, not as failed: nobody is to be alerted."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status == dg.DagsterRunStatus.STARTED:
        instance.report_run_canceling(run)
