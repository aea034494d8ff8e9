"""Drills in which prices move or lie."""

from __future__ import annotations

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import MOVING_PRICES, assert_held

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", MOVING_PRICES)
def test_what_goes_wrong_with_prices_is_noticed_told_once_and_over(name, markets, tmp_path):
    assert_held(drill_of(name), markets, tmp_path / "home")
