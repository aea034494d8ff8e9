"""One market before and after planting, shared by the module that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.leaks.market import Home, Tables, base_market
from tests.leaks.plants import planted

Published = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """The market, its home after planting, and what was published before and after."""

    base: Tables
    home: Home
    before: Published
    after: Published


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    home = Home(tmp_path_factory.mktemp("leaks"))
    base = base_market()
    home.ingest(base)
    before = home.published()
    home.ingest(planted(base))
    return Case(base, home, before, home.published())
