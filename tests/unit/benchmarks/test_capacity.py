"""What follows for a market of another size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity import Growth, Market, Prices, growth, measured_table, sizing_table, stage_table

SMALL = Market(
    collections=1_000,
    sales=500_000,
    tokens=1_000_000,
    cold={"elapsed_s": 360.0, "cpu_s": 720.0, "peak_mb": 2_000, "stages": {"marts": 100.0, "index": 10.0}},
    day={"elapsed_s": 36.0, "cpu_s": 72.0, "peak_mb": 1_000, "stages": {"marts": 20.0}},
    disk_mb={"lake": 1_000.0, "published answers": 2_000.0, "run history": 10.0, "models": 5.0},
    files=100,
    snapshots=50,
)
LARGE = replace(
    SMALL,
    collections=10_000,
    cold={**SMALL.cold, "cpu_s": 7_200.0, "peak_mb": 10_000, "stages": {"marts": 1_000.0, "index": 1_000.0}},
    day={**SMALL.day, "cpu_s": 360.0},
    disk_mb={**SMALL.disk_mb, "lake": 10_000.0, "published answers": 20_000.0},
)


def test_a_cost_goes_on_as_it_grew_but_never_slower_than_the_market_beyond_what_was_run() -> None:
    linear = growth([LARGE, SMALL], lambda m: m.cold["cpu_s"])
    assert (linear.size, linear.cost, linear.exponent) == (10_000, 7_200.0, pytest.approx(1.0))
    assert linear.at(100_000) == pytest.approx(72_000)
    square = growth([SMALL, LARGE], lambda m: m.cold["stages"]["index"])
    assert square.exponent == pytest.approx(2.0)
    assert square.at(100_000) == pytest.approx(100_000)
    flat = growth([SMALL, LARGE], lambda m: m.day["elapsed_s"])
    assert flat.exponent == pytest.approx(0.0)
    assert flat.at(100_000) == pytest.approx(360)
    assert Growth(10_000, 36.0, 0.0).at(1_000) == pytest.approx(36)


def test_one_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two sizes, found \[1000\]"):
        growth([SMALL, SMALL], lambda m: m.cold["cpu_s"])


def test_the_tables_are_what_the_numbers_give() -> None:
    markets = [SMALL, LARGE]
    assert "| 1,000 | 500,000 | 1,000,000 | 6.0 min | 12.0 min | 2.0 GB | 36 s | 72 s | 10 % | 3.0 GB |" in (
        measured_table(markets)
    )
    assert "| index | 1000.0 | 2.00 | 0.0 | 0.00 |" in stage_table(markets)
    # 100,000: 20 h cold, 30 days of 1 h; ten times the 30 GB
    assert "| 100,000 | 20.0 | 1.00 | 100 GB | 100 GB | 200 GB | 9 $ |" in sizing_table(
        markets, Prices(core_hour=0.05, gb_month=0.023)
    )
