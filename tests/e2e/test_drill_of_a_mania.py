"""The drill with a market of its own: one trait value becomes dear."""

from __future__ import annotations

import pytest

from orchestration.drills.catalogue import drill_of
from tests.e2e.drilling import MANIA, assert_held

pytestmark = pytest.mark.slow


def test_a_mania_is_noticed_told_once_and_followed(markets, tmp_path):
    assert_held(drill_of(MANIA), markets, tmp_path / "home")
