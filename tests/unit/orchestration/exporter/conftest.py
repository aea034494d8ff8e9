"""The home that all tests of the exporter read."""

from __future__ import annotations

import pytest

from orchestration.settings import Settings
from tests.unit.orchestration.exporter.monitored_home import monitored_home


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Read it, do not change it."""
    return monitored_home(tmp_path_factory)
