"""Reading from PostgreSQL: what SQLite answers, and a clear state whatever the database does."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from starlette.testclient import TestClient

from serving.store.documents import ACCURACY, RISK, STATUS
from serving.store.errors import (
    StoreAddressError,
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreMissingError,
    StoreTooOldError,
    StoreUnreachableError,
)
from serving.store.location import open_store
from serving.store.postgres.edition import GOOD_FOR_S, PostgresEdition, uptime
from serving.store.postgres.schema import SCHEMA
from serving.store.postgres.store import PostgresStore
from serving.store.protocol import TokenQuery
from tests.postgres import Server, stoppable_server
from tests.unit.serving.conftest import PASSWORD
from tests.unit.serving.market import NAMES, PUBLISHED, WHALE, Market

pytestmark = pytest.mark.slow

TOKENS = ("0", "1", "11", "no such", "", "\0", "a" * 5_000, "\ud800", "1' or true --")


@pytest.fixture
def changing(tmp_path: Path, database: str) -> Market:
    made = Market(tmp_path / "home")
    made.open(("Apes", "a/b"))
    made.publish(database)
    return made


@pytest.fixture
def store(changing: Market, database: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(database)
    yield opened
    opened.close()


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(sql)


def test_every_look_up_gives_what_the_files_give(folder: Path, published_database: str) -> None:
    stores = [open_store(folder), open_store(published_database)]
    editions = [store.current() for store in stores]

    def same(answers: Sequence[object]) -> None:
        files, database = answers
        assert files == database

    numbers = []
    for name in (*NAMES, *(name.upper() for name in NAMES), "no such", "\0", ""):
        for kind in (None, "name", "contract", "slug"):
            same([edition.resolve(name, kind) for edition in editions])
        numbers += [found.id for found in editions[0].resolve(name, "name")]
    assert len(set(numbers)) == len(NAMES)
    for number in (*numbers, 10_000):
        same([edition.collection(number) for edition in editions])
        for token in TOKENS[:7]:
            same([edition.token(number, token) for edition in editions])
            same([edition.explanation(number, token) for edition in editions])
            same([edition.history(number, token, None, 10) for edition in editions])
    for limit in (1, 3, 1000):
        same([edition.holdings(WHALE.lower(), limit) for edition in editions])
    keys = [(number, token) for number in numbers for token in TOKENS[:7]]
    same([edition.estimates(keys) for edition in editions])
    same([edition.estimates([]) for edition in editions])
    for name in (ACCURACY, STATUS, RISK, "none"):
        same([edition.document(name) for edition in editions])
    for store in stores:
        store.close()


def test_every_page_is_that_of_the_files(folder: Path, published_database: str) -> None:
    stores = [open_store(folder), open_store(published_database)]
    files, database = (store.current() for store in stores)
    filters: tuple[dict[str, Any], ...] = (
        {}, {"grades": ("A", "C")}, {"tiers": ("none",)}, {"low_eth": 2.0}, {"high_eth": 3.0}, {"valued": False},
        {"valued": True, "low_eth": 1.5, "high_eth": 4.5, "grades": ("B",), "tiers": ("pooled",)},
    )  # fmt: skip
    number = files.resolve("Apes", "name")[0].id
    for by in ("token", "value"):
        for descending in (False, True):
            for wanted in filters:
                after = None
                while True:
                    query = TokenQuery(by=by, descending=descending, after=after, limit=4, **wanted)
                    page = files.tokens(number, query)
                    assert database.tokens(number, query) == page
                    if not page:
                        break
                    after = (page[-1].rank_eth, page[-1].token)
    for by in ("name", "value"):
        for descending in (False, True):
            place = None
            while True:
                found = files.collections(by, descending, place, 7)
                assert database.collections(by, descending, place, 7) == found
                if not found:
                    break
                place = found[-1][:2]
    for store in stores:
        store.close()


def test_a_name_that_is_no_text_is_unknown(published_database: str) -> None:
    store = open_store(published_database)
    edition = store.current()
    assert edition.resolve("\ud800") == ()
    assert edition.token(1, "\ud800") is None
    store.close()


def test_a_new_version_is_seen_by_itself_and_the_edition_in_hand_stays(
    changing: Market, store: PostgresStore, database: str
) -> None:
    old = store.current()
    number = old.resolve("Apes")[0].id
    before, history = old.token(number, "1"), old.history(number, "1", None, 10)
    changing.value_again(("Apes",))
    changing.publish(database)
    for _ in range(600):
        if store.current().pointer.version != old.pointer.version:
            break
        time.sleep(0.05)
    new = store.current()
    assert new.pointer.version > old.pointer.version
    assert old.token(number, "1") == before != new.token(number, "1")
    assert old.history(number, "1", None, 10) == history == new.history(number, "1", None, 10)[1:]


def test_a_publication_under_way_is_neither_seen_nor_waited_for(store: PostgresStore, database: str) -> None:
    edition = store.current()
    number = edition.resolve("Apes")[0].id
    before = edition.tokens(number, TokenQuery())
    with psycopg.connect(database) as publisher:
        publisher.execute(f"update {SCHEMA}.tokens set until = 2")
        publisher.execute(f"update {SCHEMA}.publications set version = 'unfinished'")
        publisher.execute(f"delete from {SCHEMA}.collections")
        store.refresh()
        assert store.current().pointer == edition.pointer
        assert store.current().tokens(number, TokenQuery()) == before
        assert store.current().collection(number)
        publisher.rollback()


def test_a_version_that_may_be_removed_is_not_read(store: PostgresStore) -> None:
    current = store.current()
    number, apes = int(current.pointer.version.partition("-")[0]), current.resolve("Apes")[0].id
    seen, forgotten = (
        PostgresEdition(store._ask, current.pointer, number, uptime() - age)
        for age in (0.0, GOOD_FOR_S + 1.0)
    )
    assert seen.token(apes, "1") == current.token(apes, "1")
    with pytest.raises(StoreUnreachableError, match="another one took its place; ask again"):
        forgotten.token(apes, "1")


def test_a_store_that_took_the_place_of_another_is_not_read_as_it(
    changing: Market, store: PostgresStore, database: str
) -> None:
    edition = store.current()
    number = edition.resolve("Apes")[0].id
    execute(database, f"drop table {SCHEMA}.history")
    changing.publish(database)
    for look_up in (
        lambda: edition.token(number, "1"),
        lambda: edition.tokens(number, TokenQuery()),
        lambda: edition.estimates([(number, "1")]),
    ):
        with pytest.raises(StoreUnreachableError, match="another one took its place; ask again"):
            look_up()
    store.refresh()
    assert store.current().token(number, "1")


def refused(url: str, **settings: Any) -> StoreError:
    """The error with which a store is not served."""
    store = PostgresStore(url, **settings)
    with pytest.raises(StoreError) as raised:
        store.current()
    store.close()
    return raised.value


def test_what_cannot_be_served_is_refused_with_what_to_do(
    changing: Market, database: str, new_database: Callable[..., str]
) -> None:
    empty = refused(new_database())
    assert isinstance(empty, StoreMissingError)
    assert "assay run" in str(empty)
    old = refused(database, refuse_after_s=3600, clock=lambda: PUBLISHED + 3601)
    assert isinstance(old, StoreTooOldError)
    execute(database, f"delete from {SCHEMA}.collections where name = 'a/b'")
    damaged = refused(database)
    assert isinstance(damaged, StoreDamagedError)
    assert "expected 2 collections" in str(damaged)
    execute(database, f"delete from {SCHEMA}.publications")
    assert isinstance(refused(database), StoreDamagedError)
    execute(database, f"alter table {SCHEMA}.publications drop column version")
    assert isinstance(refused(database), StoreDamagedError)
    execute(database, f"alter schema {SCHEMA} rename to assay_serving_0")
    other = refused(database)
    assert isinstance(other, StoreFormatError)
    assert "found 0" in str(other)


def test_no_message_and_no_log_has_the_password(
    database_server: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "w/ro:ng' 1?#&=%"
    address, name = database_server.rpartition("@")[2], database.rpartition("/")[2]
    with caplog.at_level(logging.DEBUG):
        for url, reason in (
            (
                f"postgresql://assay:{quote(wrong, safe='')}@{address}/{name}",
                "refused the user or the password",
            ),
            (f"{database_server}/nowhere", "no such database"),
            (f"postgresql://assay:{quote(wrong, safe='')}@127.0.0.1:1/{name}", "no server answers"),
        ):
            error = refused(url)
            assert isinstance(error, StoreUnreachableError)
            assert reason in str(error)
            assert "127.0.0.1" not in str(error)
            assert not any(
                secret in f"{error!r} {caplog.text}" for secret in (wrong, quote(wrong, safe=""), PASSWORD)
            )
        for bad in (f"postgresql://assay:{wrong}@h/d", f"mysql://assay:{wrong}@h/d"):
            with pytest.raises(StoreAddressError, match="published store's address") as raised:
                open_store(bad)
            assert wrong not in str(raised.value)
            assert "ASSAY_SERVING_STORE" in str(raised.value) or "percent-encoded" in str(raised.value)


def test_a_user_who_may_read_is_enough_and_one_who_may_not_is_refused(
    changing: Market, database: str, database_server: str
) -> None:
    address, name = database_server.rpartition("@")[2], database.rpartition("/")[2]
    url = f"postgresql://{name}_reader:secret@{address}/{name}"
    execute(database, f"create role {name}_reader login password 'secret'")
    error = refused(url)
    assert isinstance(error, StoreUnreachableError)
    assert "may not; grant it" in str(error)
    execute(database, f"grant usage on schema {SCHEMA} to {name}_reader")
    execute(database, f"grant select on all tables in schema {SCHEMA} to {name}_reader")
    store = open_store(url)
    assert store.current().resolve("Apes")
    store.close()
    with pytest.raises(StoreUnreachableError, match="may not; grant it"):
        changing.publish(url)
    # What docs/how-to/several-api-machines.md tells, for stores that are made later.
    execute(database, f"alter default privileges for role assay grant select on tables to {name}_reader")
    execute(database, f"alter default privileges for role assay grant usage on schemas to {name}_reader")
    execute(database, f"drop schema {SCHEMA} cascade")
    changing.publish(database)
    store = open_store(url)
    assert store.current().resolve("Apes")
    store.close()


def test_without_the_client_one_sentence_names_what_to_install() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from serving.store.location import open_store
try:
    open_store("postgresql://assay@localhost/assay")
except Exception as error:
    print(type(error).__name__, error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith("StoreAddressError expected the package psycopg")
    assert "pip install 'assay[postgres]'" in found


@pytest.fixture
def own_server() -> Iterator[Server]:
    with stoppable_server(PASSWORD) as started:
        yield started


def until(client: TestClient, path: str, status: int) -> dict:
    for _ in range(600):
        response = client.get(path)
        if response.status_code == status:
            return response.json()
        assert response.status_code in (200, 503), response.text
        time.sleep(0.05)
    raise AssertionError(f"expected status {status}, found {response.status_code}: {response.text}")


def test_an_api_recovers_by_itself_when_its_database_comes_back(
    tmp_path: Path, own_server: Server, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"postgresql://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{own_server.port}/postgres"
    market = Market(tmp_path / "home")
    market.open(("Apes",))
    token = "/v1/tokens/Apes/1"
    with client_of(url) as client:
        assert until(client, "/readyz", 503)["type"] == "urn:assay:problem:store-missing"
        market.publish(url)
        first = until(client, token, 200)
        assert client.get("/readyz").json()["publication"] == first["publication"]
        own_server.stop()
        for path in (token, "/readyz", "/v1/collections", "/v1/status"):
            problem = until(client, path, 503)
            assert problem["type"] == "urn:assay:problem:store-unavailable"
            assert "127.0.0.1" not in problem["detail"]
        assert client.get("/healthz").status_code == 200
        assert "assay_store_up 0.0" in client.get("/metrics").text
        own_server.start()
        assert until(client, token, 200)["estimate_eth"] == first["estimate_eth"]
        assert client.get("/readyz").status_code == 200
        # Restarted between two looks: connections that are gone are replaced, and nobody notices.
        own_server.stop()
        own_server.start()
        until(client, token, 200)
        assert client.get("/v1/collections").status_code == 200
    assert "Traceback" not in caplog.text
    assert PASSWORD not in caplog.text
