"""Which version is served, and when none is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from serving.store import files
from serving.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreMissingError,
    StoreTooOldError,
)
from serving.store.protocol import TokenQuery
from serving.store.sqlite.store import SqliteEdition, SqliteStore
from tests.unit.serving.market import PUBLISHED, Market

pytestmark = pytest.mark.slow


@pytest.fixture
def changing(tmp_path: Path) -> Market:
    made = Market(tmp_path / "home")
    made.open(("Apes", "a/b"))
    made.publish(tmp_path / "store")
    return made


def test_a_new_version_is_seen_and_the_edition_in_hand_stays(changing: Market, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store", look_s=0.0)
    old = store.current()
    number = old.resolve("Apes")[0].id
    before = old.token(number, "1")
    changing.value_again(("Apes",))
    changing.publish(tmp_path / "store")
    new = store.current()
    assert new.pointer.version > old.pointer.version
    assert old.token(number, "1") == before != new.token(number, "1")


def test_a_store_that_was_never_published_is_missing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreMissingError, match="assay run"):
        store.current()


def test_a_store_that_appears_later_is_served(changing: Market, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "copy", retry_s=0.0, look_s=0.0)
    with pytest.raises(StoreMissingError):
        store.current()
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    assert store.current().resolve("Apes")


def test_a_half_copied_version_is_refused_and_the_old_one_served_on(changing: Market, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tmp_path / "store", folder)
    store = SqliteStore(folder, retry_s=0.0, look_s=0.0)
    old = store.current().pointer.version
    changing.value_again(("Apes",))
    new = changing.publish(tmp_path / "store").version
    whole = (tmp_path / "store" / files.file_name(new)).read_bytes()
    # The pointer arrives before the file, then the file with a hole at its end, then all of it.
    shutil.copy(tmp_path / "store" / files.POINTER, folder)
    assert store.current().pointer.version == old
    assert "incomplete" not in (store.refusal() or "")
    (folder / files.file_name(new)).write_bytes(whole[:-8192] + b"\0" * 8192)
    assert store.current().pointer.version == old
    assert "incomplete or damaged" in (store.refusal() or "")
    (folder / files.file_name(new)).write_bytes(whole)
    assert store.current().pointer.version == new
    assert store.refusal() is None


def test_a_damaged_store_is_refused_from_the_start(changing: Market, tmp_path: Path) -> None:
    file = next((tmp_path / "store").glob("*.sqlite"))
    file.write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(StoreDamagedError, match="incomplete or damaged"):
        SqliteStore(tmp_path / "store").current()


def test_another_format_is_refused(changing: Market, tmp_path: Path) -> None:
    path = tmp_path / "store" / files.POINTER
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(StoreFormatError, match=r"format [0-9]+, found 99"):
        SqliteStore(tmp_path / "store").current()


def test_data_that_are_too_old_are_not_served(changing: Market, tmp_path: Path) -> None:
    now = PUBLISHED
    store = SqliteStore(tmp_path / "store", refuse_after_s=3600, clock=lambda: now, look_s=0)
    store.current()
    now += 3601
    with pytest.raises(StoreTooOldError, match=r"at most 1 h old, found 1\.0 h"):
        store.current()


def test_a_query_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    market, folder = Market(tmp_path / "home"), tmp_path / "store"
    market.open(("Apes",), tokens=2_000)
    market.publish(folder)
    pointer = files.read_pointer(folder)
    edition = SqliteEdition(folder / pointer.file, pointer, query_limit_s=-1.0)
    number = edition.resolve("Apes")[0].id
    with pytest.raises(StoreError, match="the query took longer"):
        edition.tokens(number, TokenQuery(limit=2_000))
