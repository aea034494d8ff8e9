"""kill -9 at random moments, then the same tables as on a home that nobody disturbed.

Here: two homes of one market that do the same steps day by day, on one of which each step is killed before it may end.
Not here: the steps (`benchmarks.steps`).

Concept: a step begins to work at once, so a kill strikes the work. The moment is drawn evenly from the time that the
same step took on the other home.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.steps import STEPS, Market, Started, start, to_its_end
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences


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
        plan: Step → how often it is started to be killed. One that ends before its moment is not killed.
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
        took, error = to_its_end([start(step, market, peaceful, day)])
        if error:
            raise RuntimeError(f"{step} failed on a home that nobody disturbed: {error}")
        struck = 0
        for _ in range(plan.get(step, 0)):
            struck += _killed(start(step, market, disturbed, day), rng.uniform(0, took))
        count = at_once if step == "run" else 1
        seconds, error = to_its_end([start(step, market, disturbed, day) for _ in range(count)])
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


def _killed(started: Started, after: float) -> bool:
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
