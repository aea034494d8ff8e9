"""Where a run comes from: the code location that the UI lists it under, who launched it, and the market it works on.

Here: the tags, and the origin that Dagster gives only to runs of its own processes. Not here: executing a job
(`orchestration.execution`), or where runs are kept (`orchestration.runs.run_history`).

Concept: the UI lists a run under a job, and offers to execute it again, only if the run names its repository. Dagster
leaves that out of a run that is executed in the process which asks for it, as `assay run` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from ml.text.visible import visible
from orchestration.code_location import CODE_LOCATION
from orchestration.dagster_internals import (
    CODE_LOCATION_TAG,
    MAX_RETRIES_TAG,
    SINGLETON_REPOSITORY_NAME,
    USER_TAG,
    RegisteredCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from orchestration.orphaned_runs import PROCESS_TAG, process_tags
from orchestration.output.masking import masked

if TYPE_CHECKING:
    from orchestration.code_location import CodeLocation

HOME_TAG, SOURCE_TAG, AS_OF_TAG, LAUNCHED_IN_TAG = (
    "assay/home",
    "assay/source",
    "assay/as_of",
    "assay/launched_in_run",
)
LAUNCHED_BY_TAG = USER_TAG
"""The UI shows its value in the column "Launched by"."""

_OF_ONE_EXECUTION = (LAUNCHED_BY_TAG, AS_OF_TAG, LAUNCHED_IN_TAG, PROCESS_TAG, MAX_RETRIES_TAG)
"""Tags that are not true of a run which executes another one again; the UI copies them."""


def origin_tags(location: CodeLocation) -> dict[str, str]:
    """Tags of a run that this process executes: the process, who launched it, home and source."""
    settings = location.assay.settings
    shown = {
        LAUNCHED_BY_TAG: location.launched_by,
        HOME_TAG: str(settings.home_path),
        SOURCE_TAG: ", ".join(config.name for config in settings.source_configs),
    }
    return {
        **process_tags(),
        **{name: visible(masked(value)) for name, value in shown.items()},
        CODE_LOCATION_TAG: CODE_LOCATION,
        # Whoever launched it continues: the daemon is not to execute one job of a chain again.
        MAX_RETRIES_TAG: "0",
    }


def tags_within(context: dg.OpExecutionContext) -> dict[str, str]:
    """Tags of runs that a job executes, whatever has opened the code location."""
    return {LAUNCHED_BY_TAG: f"job {context.job_name}", LAUNCHED_IN_TAG: context.run_id}


def with_origin(run: dg.DagsterRun) -> dg.DagsterRun:
    """The run as it is to be stored: one that this process executes is listed under its job of the code location.

    One that executes such a run again, from the UI, loses what was true of the first execution only.
    """
    if PROCESS_TAG not in run.tags:
        return run
    if run.remote_job_origin is None:
        repository = RemoteRepositoryOrigin(
            RegisteredCodeLocationOrigin(CODE_LOCATION), SINGLETON_REPOSITORY_NAME
        )
        return run.with_job_origin(repository.get_job_origin(run.job_name))
    return run.with_tags({name: value for name, value in run.tags.items() if name not in _OF_ONE_EXECUTION})
