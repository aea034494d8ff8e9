"""Carrying out a drill in a test. Which drills run in which file, so that workers share them evenly."""

from __future__ import annotations

from pathlib import Path

from orchestration.drills.catalogue import Drill
from orchestration.drills.run import run_drill

ROWS = ("schema_break", "reorg")
ARRIVALS = ("late_data", "alert_endpoint_down")
MOVING_PRICES = ("crash", "wash_storm", "wrong_currency")
MANIA = "trait_mania"
QUIET = "quiet_month"


def assert_held(drill: Drill, markets: Path, home: Path) -> None:
    """Run it; on failure say what did not hold, and the timeline."""
    result = run_drill(drill, markets, home)
    failed = [f"{e.what}: {e.found}" for e in result.expectations if not e.held]
    assert not failed, "\n".join([*failed, *(f"{m.at} {m.step}: {m.what}" for m in result.moments)])
    if not drill.watch_only:
        # In this order, each at least once.
        steps = [moment.step for moment in result.moments]
        first = [steps.index(step) for step in ("injected", "detected", "alerted", "recovered")]
        assert first == sorted(first)
