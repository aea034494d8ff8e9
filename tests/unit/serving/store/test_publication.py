"""A publication equals the lake, whether it wrote everything or only what changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from serving.store import files
from serving.store.errors import PublicationError
from serving.store.schema import FORMAT, TABLES
from serving.store.sqlite.store import SqliteStore, open_immutable
from tests.unit.serving.market import CHANGES, LONG_NAME, PUBLISHED, SMALL, Market

pytestmark = pytest.mark.slow


@pytest.fixture
def changing(tmp_path: Path) -> Market:
    made = Market(tmp_path / "home")
    made.open(SMALL)
    return made


def contents(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the current version, with names in place of the numbers of collections."""
    con = open_immutable(folder / files.read_pointer(folder).file)
    names = dict(con.execute("select id, name from collections"))
    found = {}
    for table in TABLES.keys() - {"meta"}:
        columns = [row[1] for row in con.execute(f"pragma table_info({table})")]
        number = "id" if table == "collections" else "collection"
        place = columns.index(number) if number in columns else -1
        rows = con.execute(f"select * from {table}").fetchall()
        found[table] = sorted(
            ((*row[:place], names[row[place]], *row[place + 1 :]) if place >= 0 else row for row in rows),
            key=repr,
        )
    con.close()
    return found


def test_writing_what_changed_gives_what_writing_everything_gives(changing: Market, tmp_path: Path) -> None:
    store = tmp_path / "store"
    changing.publish(store)
    for number, change in enumerate(CHANGES):
        change(changing)
        report = changing.publish(store)
        assert report.is_new
        assert report.anew is None
        anew = tmp_path / f"anew-{number}"
        changing.publish(anew)
        carried, whole = contents(store), contents(anew)
        for table in whole:
            assert carried[table] == whole[table], (number, table)


def test_the_lag_is_that_of_the_newest_value_not_of_tokens_without_one(
    changing: Market, tmp_path: Path
) -> None:
    changing.publish(tmp_path)
    assert files.read_pointer(tmp_path).lag_s == 0
    changing.change(
        "update predictions.token_estimates set as_of = as_of - interval 2 day where estimate_eth is not null"
    )
    changing.publish(tmp_path)
    assert files.read_pointer(tmp_path).lag_s == 2 * 86400


def test_only_what_changed_is_written(changing: Market, tmp_path: Path) -> None:
    first = changing.publish(tmp_path)
    assert (first.rows["tokens"], first.rows["history"]) == (48, 40)
    changing.value_again(("Apes",))
    second = changing.publish(tmp_path)
    assert (second.rows["tokens"], second.rows["history"], second.collections_changed) == (12, 10, 1)


def test_nothing_new_makes_no_version_and_confirms_the_old_one(changing: Market, tmp_path: Path) -> None:
    first = changing.publish(tmp_path, now=PUBLISHED)
    again = changing.publish(tmp_path, now=PUBLISHED + 7200)
    assert (again.version, again.is_new) == (first.version, False)
    pointer = files.read_pointer(tmp_path)
    assert pointer.age_s(PUBLISHED + 7300) == 100
    assert pointer.published_at == PUBLISHED


def test_the_last_three_versions_are_kept_and_leftovers_removed(changing: Market, tmp_path: Path) -> None:
    (tmp_path / "estimates-00000001-dead.sqlite.unfinished").write_bytes(b"left by a kill")
    versions = []
    for day in range(5):
        changing.value_again(("Apes",), 1.0 + day / 10)
        versions.append(changing.publish(tmp_path).version)
    left = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("estimates-"))
    assert left == [files.file_name(version) for version in versions[-3:]]


@pytest.mark.parametrize("harm", ["cut", "overwritten", "gone", "other format", "no json"])
def test_a_harmed_store_is_published_anew(changing: Market, tmp_path: Path, harm: str) -> None:
    first = changing.publish(tmp_path)
    before = contents(tmp_path)
    file = tmp_path / files.file_name(first.version)
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-5000])
    elif harm == "overwritten":
        whole = bytearray(file.read_bytes())
        whole[9000:9010] = b"\0" * 10
        file.write_bytes(whole)
    elif harm == "gone":
        file.unlink()
    else:
        text = (tmp_path / files.POINTER).read_text()
        harmed = "{" if harm == "no json" else text.replace(f'"format": {FORMAT}', '"format": 0')
        (tmp_path / files.POINTER).write_text(harmed)
    report = changing.publish(tmp_path)
    assert report.anew is not None
    assert "expected" in report.anew
    assert report.version > first.version
    assert contents(tmp_path) == before


def test_a_lake_without_estimates_is_refused(tmp_path: Path) -> None:
    empty = Market(tmp_path / "home")
    with pytest.raises(PublicationError, match="assay run"):
        empty.publish(tmp_path / "store")
    assert not (tmp_path / "store" / files.POINTER).exists()


def test_names_of_any_kind_are_kept(market: Market, folder: Path) -> None:
    edition = SqliteStore(folder).current()
    for name in (LONG_NAME, "?x=1#y", "a/b"):
        (found,) = edition.resolve(name, "name")
        assert found.name == name
        assert edition.token(found.id, "0") is not None


def test_a_published_file_cannot_be_written(folder: Path) -> None:
    con = open_immutable(folder / files.read_pointer(folder).file)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        con.execute("delete from tokens")
