"""kill -9 of a publisher at any moment: the old version or the new one is served, whole."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from serving.store.location import open_store
from serving.store.protocol import Edition, TokenQuery
from serving.store.sqlite.store import open_immutable
from tests.unit.serving.market import Market, publish_when_started
from tests.unit.serving.store.test_postgres_publication import rows_of
from tests.unit.serving.store.test_publication import contents

pytestmark = pytest.mark.slow

TOKENS = 100


def test_a_publisher_of_files_killed_at_random_moments_leaves_one_whole_version(tmp_path: Path) -> None:
    market, folder = market_of(20, tmp_path), tmp_path / "store"
    is_new = []
    for edition, changed in served_after_kills(market, folder, kills=50, earliest=0.0):
        is_new.append(changed)
        assert_whole(edition, 20)
        with closing(open_immutable(folder / edition.pointer.file)) as con:
            assert con.execute("pragma integrity_check").fetchone() == ("ok",)
    assert is_new.count(False) >= 5, f"most kills were meant to come before the swap: {is_new}"
    market.publish(folder)
    assert not list(folder.glob("*unfinished*"))
    market.publish(tmp_path / "anew")
    assert contents(folder) == contents(tmp_path / "anew")


def test_a_publisher_to_a_database_killed_at_random_moments_leaves_one_whole_version(
    tmp_path: Path, database: str
) -> None:
    market = market_of(6, tmp_path)
    is_new = []
    for edition, changed in served_after_kills(market, database, kills=6, earliest=0.3):
        is_new.append(changed)
        assert_whole(edition, 6)
    assert is_new.count(False) >= 2, f"most kills were meant to come before the end: {is_new}"
    market.publish(database)
    market.publish(tmp_path / "anew")
    anew = contents(tmp_path / "anew")
    del anew["holdings"]
    assert rows_of(database) == anew


def market_of(collections: int, folder: Path) -> Market:
    market = Market(folder / "home")
    market.open(tuple(f"Collection {number}" for number in range(collections)), tokens=TOKENS)
    return market


def served_after_kills(
    market: Market, location: Path | str, kills: int, earliest: float
) -> Iterator[tuple[Edition, bool]]:
    """What is served after each of so many killed publishers of one change, and whether that is a new version.

    The time that a whole publication takes is divided into as many parts as there are kills, from `earliest`, and one
    publisher is killed at a random moment of each part. The first publisher is not killed: it shows that time.
    """
    market.publish(location)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.unit.serving.market"])
    rng, took, before = random.Random(12), 0.0, ""
    for attempt in range(kills + 1):
        market.value_again((f"Collection {attempt % 6}",))
        ready, start, done = context.Event(), context.Event(), context.Event()
        process = context.Process(
            target=publish_when_started, args=(market.home, location, market.as_of, ready, start, done)
        )
        process.start()
        assert ready.wait(120), "the publisher did not start"
        began = time.monotonic()
        start.set()
        if attempt == 0:
            assert done.wait(120)
            took = time.monotonic() - began
        else:
            part = (attempt - rng.random()) / kills
            time.sleep((earliest + part * (1.1 - earliest)) * took)
            process.kill()
        process.join()
        with closing(open_store(location)) as store:
            edition = store.current()
            if attempt:
                yield edition, edition.pointer.version != before
            before = edition.pointer.version


def assert_whole(edition: Edition, collections: int) -> None:
    for number in range(collections):
        (found,) = edition.resolve(f"Collection {number}")
        assert len(edition.tokens(found.id, TokenQuery(limit=1000))) == TOKENS
