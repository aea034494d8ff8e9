"""Drills played from the eve of the fault to the end: every fault of the simulator, the dead endpoint, quiet days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.drills.catalogue import DRILLS, Drill
from orchestration.drills.run import run_drill
from sources.simulator.config import FAULTS

pytestmark = pytest.mark.slow

# That of the dead endpoint is an outage, too, and `make drills` plays the whole quiet month.
PLAYED = [drill for drill in DRILLS if not drill.watch_only and drill.name != "outage"]
QUIET = [replace(drill, passes=drill.passes[:3]) for drill in DRILLS if drill.watch_only]


@pytest.fixture(scope="module")
def markets(tmp_path_factory):
    return tmp_path_factory.mktemp("markets")


def _play(drill: Drill, markets, home):
    result = run_drill(drill, markets, home)
    failed = [f"{e.what}: {e.found}" for e in result.expectations if not e.held]
    assert not failed, "\n".join([*failed, *(f"{m.at} {m.step}: {m.what}" for m in result.moments)])
    return [moment.step for moment in result.moments]


@pytest.mark.parametrize("drill", PLAYED, ids=lambda drill: drill.name)
def test_what_goes_wrong_is_noticed_told_once_acted_upon_and_over(drill, markets, tmp_path):
    steps = _play(drill, markets, tmp_path / "home")
    # In this order, each at least once.
    first = [steps.index(step) for step in ("injected", "detected", "alerted", "recovered")]
    assert first == sorted(first)


@pytest.mark.parametrize("drill", QUIET, ids=lambda drill: drill.name)
def test_nobody_is_woken_on_quiet_days(drill, markets, tmp_path):
    _play(drill, markets, tmp_path / "home")


def test_every_fault_of_the_simulator_is_played():
    played = {(drill.fault or "").partition(":")[0] for drill in PLAYED}
    assert set(FAULTS) <= played
