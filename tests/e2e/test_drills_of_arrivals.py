"""Drills in which rows come late or not at all, once while nobody can be told."""

from __future__ import annotations

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import ARRIVALS, assert_held

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ARRIVALS)
def test_what_does_not_arrive_is_noticed_told_once_and_over(name, markets, tmp_path):
    assert_held(drill_of(name), markets, tmp_path / "home")
