"""The market every drill starts from, on the day before the fault.

Here: its size, building it once, and copying it into a scratch home whose future holds a fault. Not here: the passes.
The concept: a fault changes nothing before its day, so the homes of all drills are the same until then.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from orchestration.home import open_instance, prepare_home, write_market
from orchestration.reliability.scratch import scratch_settings
from orchestration.remembered import MARKET_FILE
from orchestration.resources import open_lake
from orchestration.settings import Settings

FAULT_DAY = 60
"""First day of the fault, counted from 0: a fortnight of volume and a month of pace lie behind it."""

COLLECTIONS, SEED = 24, 9
"""About 35 sales a day over 16 collections, so that one day fills the guards (20 events) of the service levels. The
seed is one whose manias and wash storms on `FAULT_DAY` strike collections that trade."""

SEED_OF_MANIA = 262
"""What has become dear sells less often than anything else: with this seed an affected value still sells daily."""

REFITS = 2
"""Walk-forward refits: enough to calibrate intervals, few enough to train in seconds."""


def drill_settings(
    home: Path, *, days: int, seed: int = SEED, faults: str = "", alert_urls: str = ""
) -> Settings:
    """The settings of a drill's home."""
    return scratch_settings(
        home,
        collections=COLLECTIONS,
        days=days,
        seed=seed,
        faults=faults,
        refits=REFITS,
        alert_urls=alert_urls,
    )


def build_market(folder: Path, seed: int = SEED, say: Callable[[str], None] = lambda _: None) -> Path:
    """The home before the fault: built, trained, scored and watched once. An existing one is used as it is.

    Returns:
        The home, a folder inside `folder`. It appears whole: a killed build leaves only a `.part` next to it. A second
        caller waits while another process builds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / f"market-{COLLECTIONS}-{seed}-{FAULT_DAY}"
    with FileLock(home.with_suffix(".lock")):
        if not home.exists():
            _build(home, seed, say)
    return home


def _build(home: Path, seed: int, say: Callable[[str], None]) -> None:
    from orchestration.reliability.drills.passes import run_pass

    part = home.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    settings = drill_settings(part, days=FAULT_DAY, seed=seed)
    prepare_home(settings)
    say(f"building the market before the fault: {COLLECTIONS} collections, {FAULT_DAY} days")
    with open_instance(settings) as instance:
        run_pass(settings, instance)
    part.replace(home)


def scratch_home(market: Path, home: Path, seed: int, faults: str) -> Path:
    """A copy of the market of that seed that will meet `faults`, all of them on or after `FAULT_DAY`."""
    shutil.copytree(market, home)
    settings = drill_settings(home, days=FAULT_DAY, seed=seed, faults=faults)
    write_market(home / MARKET_FILE, settings.remembered)
    # A home refuses a source with other data; this one had the same until now.
    with open_lake(settings).write("the market of the drill has a future of its own") as con:
        con.execute("delete from ops.sources")
    return home
