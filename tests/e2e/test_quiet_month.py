"""The month in which nothing happens: nobody is woken. In a file of its own, being the longest of the drills."""

from __future__ import annotations

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import assert_held

pytestmark = pytest.mark.slow


def test_nobody_is_woken_in_a_quiet_month(market, tmp_path):
    assert_held(drill_of("quiet_month"), market, tmp_path / "home")
