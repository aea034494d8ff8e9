"""The simulated market resembles the real one where it matters to a valuation."""

from __future__ import annotations

import pytest

from benchmarks.simulator_calibration import compare, lines, market, statistics
from sources.files.source import FilesSource
from sources.simulator.source import SimulatorSource, open_simulator
from tests.homes import real_bundle

pytestmark = pytest.mark.slow


def test_statistics_of_a_market_too_small_to_have_them_are_missing_not_zero(
    small_market: SimulatorSource,
) -> None:
    tables = market(small_market, end=small_market.first_known().replace(day=3))
    found = statistics(tables["sales"], tables["listings"])
    assert found["error of trailing median of 5"][0] is None
    assert found["clean sales per collection, median"][0] is not None


@pytest.mark.golden
def test_the_simulator_is_calibrated_to_the_real_bundle() -> None:
    """Bounds set 2026-11 from the comparison with 200 collections, about twice the distance measured then."""
    real = market(FilesSource(real_bundle()))
    simulated = market(open_simulator(collections=100, days=365))
    table = compare(real, simulated)
    found = {r["statistic"]: (r["real"], r["simulated"]) for r in table.to_pylist()}
    allowed = {
        "premium over p20 of 50: share below 1.25x": 0.12,
        "premium over p20 of 50: share 1.25x to 2x": 0.35,
        "premium over p20 of 50: share above 2x": 0.6,
        "spread ln(p80/p10) of 50, median over collections": 0.35,
        "error of trailing p20 of 50 (MdAPE, median over collections)": 0.2,
        "error of trailing median of 30": 0.2,
        "error of trailing median of 5": 0.2,
        "daily change of the median price, robust sd": 0.35,
        "repeat sale within 7 days against the index, robust sd per sale": 0.25,
        "sales in bundles": 0.5,
        "round trips within 7 days (same token back to its seller)": 0.6,
        "rows that report a sale again": 0.5,
        "zero prices": 0.6,
    }
    off = {
        name: found[name]
        for name, share in allowed.items()
        if abs(found[name][1] / found[name][0] - 1) > share
    }
    assert not off, "\n".join(lines(table))
