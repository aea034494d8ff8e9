"""kill -9 at random moments, then the same tables as on a home that nobody disturbed.

Here: two homes of one market that do the same steps day by day, on one of which each step is killed before it may end.
Not here: what a step does (the commands, the job `maintain`).

Concept: a process spends seconds on imports before it touches a home. So each step is a fork of a server that has
imported everything and opened nothing: a kill strikes the work. The moment is drawn evenly from the time that the same
step took on the other home.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences

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


@dataclass
class Outcome:
    """What the kills led to.

    Attributes:
        killed: Kills by step: processes that were still at work.
        seconds_after: How long a step that was killed took to its end after that.
        seconds: How long it took on the other home.
        failed: Steps that did not end well after a kill, with the end of what they printed.
        differing: What differs between the homes, a line each, with the day.
        days: Days that have passed.
    """

    killed: Counter[str] = field(default_factory=Counter)
    seconds_after: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    days: int = 0


def kill_and_compare(
    market: Market,
    folder: Path,
    plan: Mapping[str, int],
    rng: random.Random,
    *,
    at_once: int = 1,
    so_far: Outcome | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """A day: kill each step again and again, let it end, and compare the home with one that was not disturbed.

    Args:
        market: The market.
        folder: Of the two homes, `home` and `undisturbed`, and of what the steps print. Homes that are there go on;
            where only `home` is, the other begins as its copy.
        plan: Step → how often it is killed. A step that ends before its moment is not killed, and not again.
        rng: Draws the moments.
        at_once: How many processes then do the step `run` to its end, at the same time.
        so_far: What earlier days led to; this one is added.
        say: Called with progress messages.
    """
    disturbed, peaceful = folder / "home", folder / "undisturbed"
    outcome = so_far or Outcome()
    if disturbed.exists() and not peaceful.exists():
        shutil.copytree(disturbed, peaceful)
        outcome.days = 1
    day = outcome.days
    for step in STEPS:
        took, error = _to_its_end([_start(step, market, peaceful, day)])
        if error:
            raise RuntimeError(f"{step} failed on a home that nobody disturbed: {error}")
        struck = 0
        for _ in range(plan.get(step, 0)):
            if not _killed(_start(step, market, disturbed, day), rng.uniform(0, took)):
                break
            struck += 1
        count = at_once if step == "run" else 1
        seconds, error = _to_its_end([_start(step, market, disturbed, day) for _ in range(count)])
        if error:
            outcome.failed.append(f"day {day}, {step}: {error}")
        if struck:
            outcome.killed[step] += struck
            outcome.seconds_after.append(seconds)
            outcome.seconds.append(took)
    one, other = (content(Lake(LakeConfig(home))) for home in (peaceful, disturbed))
    found = differences(one, other)
    outcome.differing += [f"day {day}: {line}" for line in found]
    outcome.days += 1
    say(f"day {day}: {outcome.killed.total()} kills so far, {len(found)} differences")
    return outcome


@dataclass(frozen=True)
class _Started:
    process: multiprocessing.process.BaseProcess
    printed: Path


def _start(step: str, market: Market, home: Path, day: int) -> _Started:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    printed = home.parent / f"{home.name}-{step}-{time.monotonic_ns()}.txt"
    # The server may have been started before: it has the environment of that time.
    variables = {**os.environ, **market.variables}
    process = context.Process(target=_work, args=(step, market, home, day, variables, printed))
    process.start()
    return _Started(process, printed)


def _killed(started: _Started, after: float) -> bool:
    """Kill a step, with all its children; whether it was still at work."""
    process = started.process
    process.join(after)
    if process.exitcode is not None:
        return False
    assert process.pid is not None
    # It may not lead a group of its own yet.
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(process.pid, signal.SIGKILL)
    process.join()
    return True


def _to_its_end(started: list[_Started]) -> tuple[float, str]:
    """Seconds until all have ended, and what one that failed has printed last; empty when none has."""
    began = time.monotonic()
    for one in started:
        one.process.join()
    failed = [one.printed.read_text()[-2000:] or "no word" for one in started if one.process.exitcode]
    return time.monotonic() - began, "; ".join(failed)


def _work(
    step: str, market: Market, home: Path, day: int, variables: Mapping[str, str], printed: Path
) -> None:
    """A step in this process, a group of its own; what it prints goes to a file."""
    os.setsid()
    os.environ.update(variables)
    with printed.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
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
