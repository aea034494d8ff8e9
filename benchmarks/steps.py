"""Steps of a home's day (a run, the maintenance, a backup), each in a process that has imported everything.

Here: starting a step, with whatever is to happen in its process first, and waiting for its end. Not here: what a step
does (the commands, the job `maintain`) and what is done to it (`benchmarks.killed_steps`, `benchmarks.full_disk`).

Concept: a process spends seconds on imports before it touches a home. So each step is a fork of a server that has
imported everything and opened nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

STEPS = ("run", "maintain", "backup")
"""What is done each day, in this order."""

_PRELOADED = (
    "orchestration.cli.app",
    "orchestration.definitions",
    "orchestration.runs.main_job",
    "ml.training.collections",
    "ml.training.pooled",
    "dbt.cli.main",
)


@dataclass(frozen=True)
class Market:
    """What `assay run` is given.

    Attributes:
        days: Days of the first run; each later day adds one.
        options: Other options.
        variables: Environment variables of every step.
    """

    days: int
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


SMALL = Market(60, ("--collections", "10", "--seed", "3"), {"ASSAY_REFITS": "2"})
"""A market whose first run has every stage and takes some twenty seconds."""


@dataclass(frozen=True)
class Started:
    """A step at work.

    Attributes:
        process: Its process, the leader of a group of its own soon after it was started.
        printed: The file of what it prints, standard output and standard error together.
    """

    process: multiprocessing.process.BaseProcess
    printed: Path

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        self.process.join()
        return self.process.exitcode or 0


def start(
    step: str,
    market: Market,
    home: Path,
    day: int = 0,
    *,
    texts: Path | None = None,
    first: Callable[[], None] | None = None,
) -> Started:
    """Start a step.

    Args:
        step: One of `STEPS`.
        market: The market of the home.
        home: The home.
        day: Days that have passed since the market's first run.
        texts: The folder of what the step prints; None: beside the home.
        first: Called in the step's process before anything else; has to be picklable.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    printed = (texts or home.parent) / f"{home.name}-{step}-{time.monotonic_ns()}.txt"
    # The server may have been started before: it has the environment of that time.
    variables = {**os.environ, **market.variables}
    process = context.Process(target=_work, args=(step, market, home, day, variables, printed, first))
    process.start()
    return Started(process, printed)


def to_its_end(started: list[Started]) -> tuple[float, str]:
    """Seconds until all have ended, and what one that failed has printed last; empty when none has."""
    began = time.monotonic()
    ended = [(one, one.wait()) for one in started]
    failed = [one.printed.read_text()[-2000:] or "no word" for one, code in ended if code]
    return time.monotonic() - began, "; ".join(failed)


def _work(
    step: str,
    market: Market,
    home: Path,
    day: int,
    variables: Mapping[str, str],
    printed: Path,
    first: Callable[[], None] | None,
) -> None:
    """A step in this process, a group of its own; what it prints goes to a file."""
    os.setsid()
    os.environ.update(variables)
    with printed.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    if first is not None:
        first()
    if step == "maintain":
        _maintain(home)
    else:
        _command(*_arguments(step, market, home, day))


def _arguments(step: str, market: Market, home: Path, day: int) -> tuple[str, ...]:
    if step == "backup":
        return "backup", f"{home}-backup", "--home", str(home)
    return "run", "--home", str(home), *market.options, "--days", str(market.days + day)


def _command(*arguments: str) -> None:
    from orchestration.cli.app import main

    sys.argv = ["assay", *arguments]
    main()


def _maintain(home: Path) -> None:
    from orchestration.definitions import open_location
    from orchestration.home import open_instance, prepare_home
    from orchestration.runs.main_job import run_job
    from orchestration.settings import load_settings

    settings = load_settings(home=home)
    prepare_home(settings)
    with open_instance(settings) as instance:
        run_job(open_location(settings), instance, "maintain")
