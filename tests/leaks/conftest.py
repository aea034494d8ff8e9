"""One market before and after planting, shared by the module that asks for it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.homes import made_once
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
    def make(folder: Path) -> None:
        home = Home(folder)
        home.ingest(base_market())
        before = home.published()
        home.ingest(planted(base_market()))
        (folder / "published.pickle").write_bytes(pickle.dumps((before, home.published())))

    folder = made_once(tmp_path_factory, "leaks", make)
    before, after = pickle.loads((folder / "published.pickle").read_bytes())
    return Case(base_market(), Home(folder), before, after)
