"""The main job: ingest → build → train what is due → score → monitor → publish, each a Dagster run on the home.

Here: the order, and continuing from what is there. Not here: what any step does. The command line, the job
`everything` and its schedule all come through `run_everything`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml.text.times import utc_minute
from orchestration.collection_names import resolve_collections
from orchestration.home import remember_market
from orchestration.models.worklist import worklist_config
from orchestration.output.terminal import json_time
from orchestration.partitions import month_key, register_collections
from orchestration.run_origin import AS_OF_TAG
from orchestration.runs.as_of import newest_sale_after, refuse_to_go_back
from orchestration.runs.job_runner import JobRunner, home_runner
from orchestration.runs.summary import RunSummary, Stage, read_summary

if TYPE_CHECKING:
    from orchestration.code_location import CodeLocation

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def run_everything(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    say: Callable[[str], None] = lambda _: None,
    tags: Mapping[str, str] | None = None,
) -> RunSummary:
    """Do the main job on this home and return its summary.

    Running it again continues: only new days are ingested, only changed collections rebuilt, only what is due trained.

    Args:
        location: The home, its clock and its jobs.
        instance: The Dagster instance of the home.
        say: Called with progress messages.
        tags: More tags of every run.

    Raises:
        StageFailedError: a step failed.
        HomeError: another market's home, another run holds it for too long, or it has sales known at or after `as_of`.
    """
    with home_runner(location, instance, say, tags) as runner:
        as_of = _ingest_and_build(runner)
        trained = _train_what_is_due(runner, say)
        runner.run("score")
        runner.run("monitor")
        runner.run("publish")
        return _summarise(runner, trained, as_of)


def run_refresh(
    location: CodeLocation, instance: dg.DagsterInstance, tags: Mapping[str, str] | None = None
) -> dict[str, float]:
    """The hourly path: ingest, build, score with the current champions, monitor, publish. Trains nothing.

    Args:
        location: The home, its clock and its jobs.
        instance: The Dagster instance of the home.
        tags: More tags of every run.

    Returns:
        Seconds by stage.

    Raises:
        StageFailedError: a step failed.
        HomeError: another market's home, or another run holds it for too long.
    """
    with home_runner(location, instance, tags=tags) as runner:
        _ingest_and_build(runner)
        runner.run("score")
        runner.run("monitor")
        runner.run("publish")
        return {stage.name: stage.seconds for stage in runner.stages.values()}


def _ingest_and_build(runner: JobRunner) -> datetime:
    """Raw tables, marts, index and sale features; returns the watermark."""
    as_of = runner.assay.as_of
    runner.tags[AS_OF_TAG] = json_time(as_of)
    refuse_to_go_back(runner.assay, as_of)
    remember_market(runner.assay.settings)
    first, last = month_key(runner.assay.sources.first_known()), month_key(as_of)
    runner.run("ingest", tags={RANGE_START: first, RANGE_END: last})
    runner.run("build")
    return as_of


def _train_what_is_due(runner: JobRunner, say: Callable[[str], None]) -> dict[str, int]:
    """The pooled prior when it is due, then the collections whose champion is, then the accuracy of both.

    What is due is read from the state alone, so that a run continues where a killed one has ended.

    Returns:
        Decisions on collections by action.
    """
    from ml.accuracy.walk_forward_report import accuracy_due
    from ml.training.due import collections_due, prior_due
    from orchestration.models.assets import pooled_config, training_config
    from orchestration.models.lost_files import find_lost_files
    from orchestration.models.sensors import discovered_collections

    register_collections(runner.instance, discovered_collections(runner.assay))
    lost = find_lost_files(runner.assay)
    with runner.assay.lake.read() as con:
        why = prior_due(con, pooled_config(runner.assay), lost=lost)
    if why:
        say(f"pooled prior: {why}")
        runner.run("train", assets=["pooled_prior"])
    with runner.assay.lake.read() as con:
        due = collections_due(con, training_config(runner.assay), lost)
    counts: dict[str, int] = {}
    if due:
        say(f"price models: {len(due)} collections due")
        counts = _train_worklist(runner, due, "due by data")
    with runner.assay.lake.read() as con:
        report_due = accuracy_due(con)
    if report_due:
        runner.run("train", assets=["walk_forward_accuracy"])
    return counts


def _train_worklist(
    runner: JobRunner, keys: Sequence[str], reason: str, *, learn_newest: bool = False
) -> dict[str, int]:
    result = runner.run("retrain_worklist", config=worklist_config(keys, reason, learn_newest=learn_newest))
    return dict(result.output_for_node("train_worklist"))


def retrain_collections(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    reason: str,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, int], float]:
    """Train a scattered list now, due or not, on everything known; after the pooled prior has predicted new sales.

    Returns:
        Collections by action, and seconds of the training stage.

    Raises:
        StageFailedError: the failure budget was exceeded.
        HomeError: the home is taken for too long, or has no such collection.
    """
    with home_runner(location, instance, say) as runner:
        with runner.assay.lake.read() as con:
            keys = resolve_collections(con, keys)
        runner.tags[AS_OF_TAG] = json_time(runner.assay.as_of)
        counts = _train_worklist(runner, keys, reason, learn_newest=True)
        return counts, runner.stages["price models"].seconds


def run_job(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    job: str,
    *,
    config: dict[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Run one job in this process, as the daemon would launch it, for example for a request of a sensor.

    Returns:
        Seconds by step.

    Raises:
        StageFailedError: a step failed.
        HomeError: the home is taken for too long.
    """
    with home_runner(location, instance) as runner:
        run_id = runner.run(job, config=config, tags=tags).run_id
        return {
            step.step_key: round(step.end_time - step.start_time, 3)
            for step in instance.get_run_step_stats(run_id)
            if step.start_time is not None and step.end_time is not None
        }


def ingest_and_build(runner: JobRunner, say: Callable[[str], None] = lambda _: None) -> None:
    """Ingest what is known before the home's `as_of` and build marts, index and sale features; nothing is trained.

    A home that has more already is only built: a reader of the past filters by `known_at`.

    Raises:
        StageFailedError: a step failed.
        HomeError: the source has nothing before `as_of`.
    """
    if newest := newest_sale_after(runner.assay, runner.assay.as_of):
        say(f"the home has sales known until {utc_minute(newest)}: nothing to ingest")
        runner.run("build")
    else:
        _ingest_and_build(runner)


def _summarise(runner: JobRunner, trained: dict[str, int], as_of: datetime) -> RunSummary:
    started = time.perf_counter()
    summary = read_summary(
        runner.assay.lake,
        list(runner.stages.values()),
        trained,
        home=str(runner.assay.settings.home_path),
        as_of=json_time(as_of),
    )
    summary.left_out = runner.assay.sources.left_out()
    summary.stages.append(Stage("summary", round(time.perf_counter() - started, 3)))
    return summary
