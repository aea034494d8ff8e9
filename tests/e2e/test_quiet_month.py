"""The time in which nothing happens: nobody is woken. In a file of its own, being the longest of the drills.

At small size: three days of the thirty that `assay drill quiet_month` watches, a pass each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import QUIET, assert_held

pytestmark = pytest.mark.slow

DAYS = 3


def test_nobody_is_woken_while_nothing_is_wrong(markets, tmp_path):
    month = drill_of(QUIET)
    assert_held(replace(month, passes=month.passes[:DAYS]), markets, tmp_path / "home")
