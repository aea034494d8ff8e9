"""The main job: ingest → build → train what is due → score → monitor, each a Dagster run on the home's instance.

Here: the order, and continuing from what is there. Not here: what any step does. The command line, the job
`everything` and its schedule all come through `run_everything`.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.clock import WALL_CLOCK, Clock
from orchestration.conductor import Conductor
from orchestration.errors import HomeError
from orchestration.home import bury_dead_runs, prepare_home, run_lock
from orchestration.partitions import month_key, register_collections
from orchestration.summary import RunSummary, Stage, read_summary
from sources.protocol import ReportingSource

if TYPE_CHECKING:
    from orchestration.resources import Assay
    from orchestration.settings import Settings

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def run_everything(
    settings: Settings,
    instance: dg.DagsterInstance,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock = WALL_CLOCK,
) -> RunSummary:
    """Do the main job on this home and return what it has to show.

    Running it again continues: only new days are ingested, only changed collections rebuilt, only what is due trained.

    Args:
        settings: The home and its market.
        instance: The Dagster instance of the home.
        say: Told once in a while what is going on, for people.
        clock: What incidents are dated by.

    Raises:
        StageFailedError: a step failed.
        HomeError: another market's home, another run holds it for too long, or it knows sales from the instant on.
    """
    home = prepare_home(settings)
    with run_lock(home, settings.lock_timeout_s, on_wait=say):
        buried = bury_dead_runs(instance)
        if buried:
            say(f"{buried} run(s) of a killed process marked as failed; continuing from what they committed")
        conductor = Conductor(settings, instance, clock)
        as_of = _ingest_and_build(conductor)
        trained = _train_what_is_due(conductor, say)
        conductor.run("score")
        conductor.run("monitor")
        return _summarise(conductor, trained, as_of)


def run_refresh(settings: Settings, instance: dg.DagsterInstance) -> dict[str, float]:
    """The hourly path: ingest, build, score with the champions that reign, monitor. Trains nothing.

    Returns:
        Seconds by stage.

    Raises:
        StageFailedError: a step failed.
        HomeError: another market's home, or another run holds it for too long.
    """
    home = prepare_home(settings)
    with run_lock(home, settings.lock_timeout_s):
        bury_dead_runs(instance)
        conductor = Conductor(settings, instance)
        _ingest_and_build(conductor)
        conductor.run("score")
        conductor.run("monitor")
        return {stage.name: stage.seconds for stage in conductor.stages.values()}


def _ingest_and_build(conductor: Conductor) -> datetime:
    """Raw tables, marts, index and sale features; returns the watermark."""
    source, as_of = conductor.assay.source, conductor.assay.horizon
    _refuse_to_go_back(conductor.assay, as_of)
    first, last = month_key(source.first_known()), month_key(as_of)
    conductor.run("ingest", tags={RANGE_START: first, RANGE_END: last})
    conductor.run("build")
    return as_of


def _refuse_to_go_back(assay: Assay, as_of: datetime) -> None:
    """Before anything is touched: a home cannot forget, and a source says nothing before its first row.

    Raises:
        HomeError: `as_of` is not after the newest sale in the home, or not after the source's first row.
    """
    with assay.lake.read() as con:
        known = con.execute("select max(known_at) from raw.sales").fetchone()
    if known and known[0] is not None and known[0] >= as_of:
        raise HomeError(
            f"{assay.settings.home_path} knows sales until {known[0]}; expected an as-of instant after that, found "
            f"{as_of}. Ask for a later instant, or value the earlier one in a folder of its own with --home …"
        )
    if as_of <= assay.source.first_known():
        raise HomeError(
            f"expected an as-of instant after the source's first row ({assay.source.first_known()}), found {as_of}"
        )


def _train_what_is_due(conductor: Conductor, say: Callable[[str], None]) -> dict[str, int]:
    """The pooled prior when it is due, then the collections whose champion is, then the accuracy of both.

    What is due is read from the state alone, so that a run goes on where a killed one has ended.

    Returns:
        Decisions on collections by action.
    """
    from ml.evaluation.report import accuracy_due
    from ml.models.due import collections_due, prior_due
    from orchestration.acting.lost_files import find_lost_files
    from orchestration.assets.models import pooled_config, training_config
    from orchestration.sensors import discovered_collections

    register_collections(conductor.instance, discovered_collections(conductor.assay))
    lost = find_lost_files(conductor.assay)
    with conductor.assay.lake.read() as con:
        why = prior_due(con, pooled_config(conductor.assay), lost=lost)
    if why:
        say(f"pooled prior: {why}")
        conductor.run("train", assets=["pooled_prior"])
    with conductor.assay.lake.read() as con:
        due = collections_due(con, training_config(conductor.assay), lost)
    counts: dict[str, int] = {}
    if due:
        say(f"price models: {len(due)} collections due")
        counts = _train_worklist(conductor, due, "due by data")
    with conductor.assay.lake.read() as con:
        report_due = accuracy_due(con)
    if report_due:
        conductor.run("train", assets=["walk_forward_accuracy"])
    return counts


def _train_worklist(
    conductor: Conductor, keys: Sequence[str], reason: str, *, learn_newest: bool = False
) -> dict[str, int]:
    worklist = {"collections": list(keys), "reason": reason, "learn_newest": learn_newest}
    result = conductor.run("retrain_worklist", config={"ops": {"train_worklist": {"config": worklist}}})
    return dict(result.output_for_node("train_worklist"))


def retrain_collections(
    settings: Settings,
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    reason: str,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, int], float]:
    """Train a scattered list now, due or not, on everything known; first the pooled prior says what it has not yet.

    Returns:
        Collections by action, and seconds of the training stage.

    Raises:
        StageFailedError: the failure budget was exceeded.
        HomeError: the home is taken for too long, or has no such collection.
    """
    home = prepare_home(settings)
    with run_lock(home, settings.lock_timeout_s, on_wait=say):
        bury_dead_runs(instance)
        conductor = Conductor(settings, instance)
        refuse_unknown(conductor.assay, keys)
        counts = _train_worklist(conductor, keys, reason, learn_newest=True)
        return counts, conductor.stages["price models"].seconds


def run_job(
    settings: Settings,
    instance: dg.DagsterInstance,
    job: str,
    *,
    config: dict[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    clock: Clock = WALL_CLOCK,
) -> dict[str, float]:
    """Run one job in this process, as the daemon would launch it: for a request of a sensor, say.

    Returns:
        Seconds by step.

    Raises:
        StageFailedError: a step failed.
        HomeError: the home is taken for too long.
    """
    home = prepare_home(settings)
    with run_lock(home, settings.lock_timeout_s):
        run_id = Conductor(settings, instance, clock).run(job, config=config, tags=tags).run_id
        return {
            step.step_key: round(step.end_time - step.start_time, 3)
            for step in instance.get_run_step_stats(run_id)
            if step.start_time is not None and step.end_time is not None
        }


def build_until(
    settings: Settings,
    instance: dg.DagsterInstance,
    until: datetime,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Ingest what was known before an instant and build marts, index and sale features; nothing is trained or scored.

    A home that knows more already is only built: whoever looks back from it reads by `known_at`. The caller holds the
    home's lock.

    Raises:
        StageFailedError: a step failed.
        HomeError: the source says nothing before the instant.
    """
    settings = settings.model_copy(update={"as_of": until})
    conductor = Conductor(settings, instance)
    with conductor.assay.lake.read() as con:
        known = con.execute("select max(known_at) from raw.sales").fetchone()
    if known and known[0] is not None and known[0] >= conductor.assay.horizon:
        say(f"the home knows sales until {known[0]}: nothing to ingest")
        conductor.run("build")
    else:
        _ingest_and_build(conductor)


def refuse_unknown(assay: Assay, keys: Sequence[str]) -> None:
    """Stop at names that the home has not heard of.

    Raises:
        HomeError: names them, and what comes close.
    """
    from orchestration.sensors import discovered_collections

    known = discovered_collections(assay)
    unknown = sorted(set(keys) - set(known))
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise HomeError(f"{assay.settings.home_path} has no collection {', '.join(unknown[:5])}{hint}")


def _summarise(conductor: Conductor, trained: dict[str, int], as_of: datetime) -> RunSummary:
    started = time.perf_counter()
    summary = read_summary(
        conductor.assay.lake,
        list(conductor.stages.values()),
        trained,
        home=str(conductor.settings.home_path),
        as_of=as_of.isoformat(),
    )
    if isinstance(conductor.assay.source, ReportingSource):
        summary.left_out = conductor.assay.source.left_out()
    summary.stages.append(Stage("summary", round(time.perf_counter() - started, 3)))
    return summary
