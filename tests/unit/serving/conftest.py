"""One market and one published store for all tests of serving; tests that change them make their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from starlette.testclient import TestClient

from serving.api.app import build_app
from serving.api.config import ApiConfig
from tests.postgres import server
from tests.unit.serving.market import PUBLISHED, Market

PASSWORD = "p@ss:w/rd 'x\\y\"%?#&="
"""What breaks an address that is not encoded."""


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
def database_server() -> Iterator[str]:
    """The address of a real PostgreSQL, without a database."""
    with server(PASSWORD) as port:
        yield f"postgresql://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"


@pytest.fixture(scope="session")
def new_database(database_server: str) -> Callable[..., str]:
    """Make an empty database; its address."""
    numbers = count()

    def make(options: str = "") -> str:
        name = f"store_{next(numbers)}"
        with psycopg.connect(f"{database_server}/postgres", autocommit=True) as con:
            con.execute(f"create database {name} {options}")
        return f"{database_server}/{name}"

    return make


@pytest.fixture
def database(new_database: Callable[..., str]) -> str:
    """The address of an empty database."""
    return new_database()


@pytest.fixture(scope="session")
def published_database(market: Market, folder: Path, new_database: Callable[..., str]) -> str:
    """The address of a database with what `folder` has, sorted and encoded in another way; do not change it."""
    url = new_database("template template0 encoding 'LATIN1' locale 'C'")
    market.publish(url)
    return url


@pytest.fixture(scope="session", params=["folder", "published_database"])
def location(request: pytest.FixtureRequest) -> Path | str:
    """The same published market in files and in PostgreSQL."""
    found: Path | str = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def client_of() -> Callable[..., TestClient]:
    """Make a client of an API over a folder, an hour after publication."""

    def make(location: Path | str, now: float = PUBLISHED + 3600, **settings: Any) -> TestClient:
        folder, url = (location, "") if isinstance(location, Path) else (Path("none"), location)
        config = ApiConfig(
            folder,
            **{"keys": folder.parent / "api", "anonymous_limit": "", "store_url": url, **settings},
        )
        # What a client would not see must not be raised past it.
        return TestClient(build_app(config, clock=lambda: now), raise_server_exceptions=False)

    return make


@pytest.fixture(scope="session")
def client(folder: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    """A client of the published store."""
    with client_of(folder) as made:
        yield made
