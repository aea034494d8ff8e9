"""kill -9 of a publisher at any moment: the old version or the new one is served, whole."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import pytest

from serving.store import files
from serving.store.protocol import TokenQuery
from serving.store.sqlite_store import SqliteEdition, SqliteStore, open_immutable
from tests.unit.serving.market import Market, publish_when_started

KILLS = 50
COLLECTIONS, TOKENS = 20, 100


@pytest.mark.slow
def test_a_publisher_killed_at_random_moments_leaves_one_whole_version(tmp_path: Path) -> None:
    market, folder = Market(tmp_path / "home"), tmp_path / "store"
    market.open(tuple(f"Collection {number}" for number in range(COLLECTIONS)), tokens=TOKENS)
    market.publish(folder)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.unit.serving.market"])
    rng, took, outcomes = random.Random(12), 0.0, {"old": 0, "new": 0}
    for attempt in range(KILLS + 1):
        market.value_again((f"Collection {attempt % COLLECTIONS}",))
        before = files.read_pointer(folder).version
        ready, start, done = context.Event(), context.Event(), context.Event()
        process = context.Process(
            target=publish_when_started, args=(market.home, folder, market.as_of, ready, start, done)
        )
        process.start()
        assert ready.wait(120), "the publisher did not start"
        began = time.monotonic()
        start.set()
        if attempt == 0:  # how long it takes when nobody kills it
            assert done.wait(120)
            took = time.monotonic() - began
        else:
            time.sleep(rng.uniform(0, 1.1 * took))
            process.kill()
        process.join()
        edition = SqliteStore(folder).current()
        outcomes["old" if edition.pointer.version == before else "new"] += 1
        assert_whole(edition, folder)
    assert outcomes["old"] >= 5, f"most kills were meant to come before the swap: {outcomes}"
    market.publish(folder)
    assert not list(folder.glob("*unfinished*"))
    anew = tmp_path / "anew"
    market.publish(anew)
    served, fresh = SqliteStore(folder).current(), SqliteStore(anew).current()
    for number in range(COLLECTIONS):
        (one,), (two,) = (edition.resolve(f"Collection {number}") for edition in (served, fresh))
        assert served.collection(one.id) == fresh.collection(two.id)


def assert_whole(edition: SqliteEdition, folder: Path) -> None:
    for number in range(COLLECTIONS):
        (found,) = edition.resolve(f"Collection {number}")
        assert len(edition.tokens(found.id, TokenQuery(limit=1000))) == TOKENS
    con = open_immutable(folder / edition.pointer.file)
    assert con.execute("pragma integrity_check").fetchone() == ("ok",)
    con.close()
