"""One market and one published store for all tests of serving; tests that change them make their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.api.app import build_app
from serving.api.config import ApiConfig
from tests.unit.serving.market import PUBLISHED, Market


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Read it, do not change it."""
    made = Market(tmp_path_factory.mktemp("market"))
    made.open()
    return made


@pytest.fixture(scope="session")
def folder(market: Market) -> Path:
    """The published store; read it, do not change it."""
    market.publish(market.home / "serving")
    return market.home / "serving"


@pytest.fixture(scope="session")
def client_of() -> Callable[..., TestClient]:
    """Make a client of an API over a folder, an hour after publication."""

    def make(folder: Path, now: float = PUBLISHED + 3600, **settings: object) -> TestClient:
        config = ApiConfig(folder, **{"keys": folder.parent / "api", "anonymous_limit": "", **settings})  # type: ignore[arg-type]
        # What a client would not see must not be raised past it.
        return TestClient(build_app(config, clock=lambda: now), raise_server_exceptions=False)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def client(folder: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    """A client of the published store."""
    with client_of(folder) as made:
        yield made
