"""Running jobs of the code location in this process, one after the other, and keeping the time of their steps.

Here: one job to its end, and the message when a step fails. Not here: which jobs in which order
(`orchestration.runs.main_job`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.errors import StageFailedError
from orchestration.execution import execute
from orchestration.home import prepare_home, run_lock
from orchestration.orphaned_runs import fail_orphaned_runs
from orchestration.output.progress import stage_of
from orchestration.runs.collector import fewer_collections
from orchestration.runs.summary import Stage

if TYPE_CHECKING:
    from orchestration.code_location import CodeLocation


class JobRunner:
    """Runs jobs of one code location in this process and keeps the time of their steps."""

    def __init__(
        self, location: CodeLocation, instance: dg.DagsterInstance, tags: Mapping[str, str] | None = None
    ) -> None:
        """Nothing runs yet.

        Args:
            location: The home and its jobs.
            instance: The Dagster instance of the home.
            tags: More tags of every run.
        """
        self.location = location
        self.instance = instance
        self.assay = location.assay
        self.tags = dict(tags or {})
        self.stages: dict[str, Stage] = {}

    def run(
        self,
        job: str,
        *,
        tags: Mapping[str, str] | None = None,
        config: dict[str, Any] | None = None,
        assets: list[str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Execute a job to its end.

        Raises:
            StageFailedError: when a step fails; downstream steps have not run, what was committed stays.
            StopRequestedError: when asked to stop; what was committed stays.
        """
        with fewer_collections():
            result = execute(
                self.location,
                self.instance,
                job,
                tags={**self.tags, **(tags or {})},
                config=config,
                assets=assets,
            )
        self._keep_times(result)
        if not result.success:
            raise StageFailedError(_describe_failure(job, result))
        return result

    def _keep_times(self, result: dg.ExecuteInProcessResult) -> None:
        rows: dict[str, int] = {}
        for event in result.get_asset_materialization_events():
            if event.step_key is not None:
                rows[event.step_key] = max(rows.get(event.step_key, 0), _rows_of(event))
        for stats in self.instance.get_run_step_stats(result.run_id):
            if stats.start_time is None or stats.end_time is None:
                continue
            stage = self.stages.setdefault(stage_of(stats.step_key), Stage(stage_of(stats.step_key), 0.0))
            stage.seconds = round(stage.seconds + stats.end_time - stats.start_time, 3)
            if rows.get(stats.step_key):
                stage.rows = (stage.rows or 0) + rows[stats.step_key]


@contextmanager
def home_runner(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    say: Callable[[str], None] = lambda _: None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[JobRunner]:
    """A runner on the home, which is prepared and locked; runs that a killed process left are marked as failed.

    Args:
        location: The home, its clock and its jobs.
        instance: The Dagster instance of the home.
        say: Called with progress messages.
        tags: More tags of every run.

    Raises:
        HomeError: another market's home, or another run holds it for too long.
    """
    settings = location.assay.settings
    with run_lock(prepare_home(settings), settings.lock_timeout_s, on_wait=say):
        if orphaned := fail_orphaned_runs(instance):
            say(
                f"{orphaned} run(s) of a killed process marked as failed; continuing from what they committed"
            )
        yield JobRunner(location, instance, tags)


def _rows_of(event: dg.DagsterEvent) -> int:
    metadata = event.step_materialization_data.materialization.metadata
    for name in ("rows_written", "dagster/row_count", "dagster/partition_row_count"):
        value = getattr(metadata.get(name), "value", None)
        if isinstance(value, int):
            return value
    return 0


def _describe_failure(job: str, result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.event_type_value == "STEP_FAILURE":
            failure = event.step_failure_data
            error = failure.error
            # Dagster's own, "error occurred while executing op", is around ours. What caused ours is for the log.
            while (
                error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster")
            ):
                error = error.cause
            message = error.message.strip() if error else "no error recorded"
            return f"{job}: step {event.step_key} failed: {message} (run {result.run_id})"
    return f"{job}: run {result.run_id} failed; see its log in the Dagster UI"
