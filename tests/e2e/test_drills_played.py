"""Drills from the day before the fault to the end: every fault of the simulator, and the endpoint that is down."""

from __future__ import annotations

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from orchestration.reliability.drills.catalogue import DRILLS, drill_of
from orchestration.reliability.drills.run import run_drill
from orchestration.states import DrillStep
from sources.simulator.config import FAULTS
from tests.homes import drill_markets

pytestmark = pytest.mark.slow

# The drill of the endpoint that is down is an outage, too, and `make drills` plays the whole quiet month.
PLAYED = [drill for drill in DRILLS if drill.fault and drill.name != "outage"]


@pytest.fixture(scope="module")
def markets(tmp_path_factory):
    return drill_markets(tmp_path_factory)


@pytest.mark.parametrize("drill", PLAYED, ids=lambda drill: drill.name)
def test_a_fault_is_detected_alerted_once_handled_and_over(drill, markets, tmp_path):
    result = run_drill(drill, markets, tmp_path / "home")
    failed = [f"{e.what}: {e.found}" for e in result.expectations if not e.held]
    assert not failed, "\n".join([*failed, *(f"{m.at} {m.step}: {m.what}" for m in result.moments)])
    steps = [moment.step for moment in result.moments]
    # In this order, each at least once.
    order = (DrillStep.INJECTED, DrillStep.DETECTED, DrillStep.ALERTED, DrillStep.RECOVERED)
    first = [steps.index(step) for step in order]
    assert first == sorted(first)


def test_a_home_that_is_destroyed_is_restored_with_the_same_tables(markets, tmp_path):
    result = run_drill(drill_of("lost_home"), markets, tmp_path / "home")
    assert [f"{e.what}: {e.found}" for e in result.expectations if not e.held] == []
    assert "restored on another path in" in result.moments[-1].what
    assert not (tmp_path / "home").exists()
    # A home that differs is seen: the comparison is not empty.
    lake = Lake(LakeConfig(tmp_path / "home-restored"))
    before = content(lake, copied=True)
    with lake.write("harm") as con:
        con.execute(
            "update raw.sales set buyer = seller where token_id = (select min(token_id) from raw.sales)"
        )
    (found,) = differences(before, content(lake, copied=True))
    assert found.startswith("raw.sales.exact")


def test_every_fault_of_the_simulator_is_played():
    played = {(drill.fault or "").partition(":")[0] for drill in PLAYED}
    assert set(FAULTS) <= played
