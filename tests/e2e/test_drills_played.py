"""Drills played from the eve of the fault to the end: rows that are wrong, nothing arriving, prices that lie.

Three of the catalogue, one of each kind; `make drills` plays all. A pass costs half a minute at any size.
"""

from __future__ import annotations

import pytest

from orchestration.drills.catalogue import drill_of
from orchestration.drills.run import run_drill

pytestmark = pytest.mark.slow

PLAYED = ("schema_break", "alert_endpoint_down", "wrong_currency")


@pytest.fixture(scope="module")
def markets(tmp_path_factory):
    return tmp_path_factory.mktemp("markets")


@pytest.mark.parametrize("name", PLAYED)
def test_what_goes_wrong_is_noticed_told_once_acted_upon_and_over(name, markets, tmp_path):
    result = run_drill(drill_of(name), markets, tmp_path / "home")
    failed = [f"{e.what}: {e.found}" for e in result.expectations if not e.held]
    assert not failed, "\n".join([*failed, *(f"{m.at} {m.step}: {m.what}" for m in result.moments)])
    # In this order, each at least once.
    steps = [moment.step for moment in result.moments]
    first = [steps.index(step) for step in ("injected", "detected", "alerted", "recovered")]
    assert first == sorted(first)
