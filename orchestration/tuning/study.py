"""Tuning of a home: its budget, its one study at a time, and what it leaves behind.

Here: splitting a budget between markets and collections, the lock, the result file. Not here: studies (`ml.tuning`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lake.storage import write_whole
from lake.tables import is_empty
from orchestration.errors import HomeError

if TYPE_CHECKING:
    import dagster as dg

    from ml.tuning.scope import Outcome
    from orchestration.code_location import CodeLocation
    from orchestration.resources import Assay
    from orchestration.tuning.budget import Level

POOLED_SHARE = 0.7
"""Share of the budget for the markets' priors when both levels are tuned: small collections depend on them. Time that
they do not need goes to the collections."""

RESULT_FILE = Path("reports") / "tuning.json"
"""Under the home; what tuning bought, for the accuracy report."""


@contextmanager
def one_study_at_a_time(home: Path) -> Iterator[None]:
    """Hold the home's studies; the main job goes on meanwhile.

    Raises:
        HomeError: Another process is tuning this home.
    """
    lock = FileLock(home / "tuning.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise HomeError(
            f"{home} is being tuned by another process; two studies would repeat each other's trials. Wait for it, or "
            "end it: what it has tried is kept, and the next study of these sales continues there"
        ) from error
    try:
        yield
    finally:
        lock.release()


def tune_home(
    assay: Assay,
    *,
    run_id: str,
    level: Level,
    seconds: float,
    markets: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Tune what is worth it under one budget and write the result file.

    Args:
        assay: The home.
        run_id: Written to decisions.
        level: Markets, collections, or both.
        seconds: Wall-clock budget.
        markets: Only these markets; all when None.
        say: Called with progress messages.

    Returns:
        One outcome per scope examined.

    Raises:
        HomeError: Another process is tuning this home, or there is no sale to tune on.
    """
    from ml.retraining.queue import read_queue
    from ml.tuning.collections import tune_collections
    from ml.tuning.journal import Journal
    from ml.tuning.markets import tune_markets
    from orchestration.compute import compute_backend
    from orchestration.models.assets import pooled_config, training_config

    _refuse_without_features(assay)
    journal, outcomes = Journal(assay.lake, run_id), []
    with assay.lake.read() as con:
        asked = read_queue(con, assay.as_of).retune
    with one_study_at_a_time(assay.settings.home_path):
        ends = time.monotonic() + seconds
        if level != "collections":
            share = seconds if level == "pooled" else POOLED_SHARE * seconds
            outcomes += tune_markets(journal, share, pooled=pooled_config(assay), markets=markets, say=say)
        if level != "pooled":
            local = training_config(assay).candidate.local
            outcomes += tune_collections(
                journal,
                max(0.0, ends - time.monotonic()),
                local=local,
                first=asked,
                backend=compute_backend(assay.settings),
                say=say,
            )
            _answer(assay, asked)
        write_results(assay)
    return outcomes


def _answer(assay: Assay, asked: Sequence[str]) -> None:
    """Collections that waited for new settings wait for a fit now, tuned or not worth it."""
    from ml.retraining.queue import mark_retuned

    if asked:
        with assay.lake.write("their settings were examined") as con:
            mark_retuned(con, asked)


def write_results(assay: Assay) -> Path:
    """Write `reports/tuning.json` of the home, whole, and return its path."""
    from ml.tuning.results import tuning_results

    target = assay.settings.home_path / RESULT_FILE
    target.parent.mkdir(exist_ok=True)
    with assay.lake.read() as con:
        write_whole(target, json.dumps(tuning_results(con), indent=2) + "\n")
    return target


def _refuse_without_features(assay: Assay) -> None:
    with assay.lake.read() as con:
        unbuilt = is_empty(con, "features.sale_features")
    if unbuilt:
        raise HomeError(
            f"expected sale features of this version in {assay.settings.home_path}, found none; `assay run` makes them"
        )


def tune_in_a_run(
    location: CodeLocation, instance: dg.DagsterInstance, level: Level, seconds: float, markets: Sequence[str]
) -> list[dict[str, Any]]:
    """The job `tune` as a run of this process, with its plots in the UI.

    Returns:
        One dict per scope: kind, scope, adopted (None without a verdict), reason, trials.

    Raises:
        HomeError: See `tune_home`.
    """
    from orchestration.execution import execute

    request = {"level": level, "budget_s": seconds, "markets": list(markets)}
    config = {"ops": {"tuning_study": {"config": request}}}
    result = execute(location, instance, "tune", config=config, raise_on_error=True)
    (event,) = result.asset_materializations_for_node("tuning_study")
    verdicts = event.metadata["verdicts"].value
    return list(verdicts)  # type: ignore[arg-type]
