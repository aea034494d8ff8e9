"""Publishing into PostgreSQL: the same rows as SQLite, whole versions, whoever is killed or late."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters
from typing import Any

import psycopg
import pytest

from serving.store.errors import PublicationBusyError, PublicationError
from serving.store.location import open_store, open_target
from serving.store.postgres.schema import CURRENT, SCHEMA, TABLES
from serving.store.postgres.store import PostgresStore
from serving.store.protocol import TokenQuery
from serving.store.publication import PublicationConfig
from tests.unit.serving.market import CHANGES, SMALL, Market
from tests.unit.serving.store.test_publication import contents

pytestmark = pytest.mark.slow


@pytest.fixture
def changing(tmp_path: Path) -> Market:
    made = Market(tmp_path / "home")
    made.open(SMALL)
    return made


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the current version as SQLite would have it, with names in place of the numbers of collections."""
    with psycopg.connect(url) as con:
        names = {
            number: name.decode()
            for number, name in con.execute(
                f"select id, name from {SCHEMA}.collections where until = {CURRENT}", binary=True
            ).fetchall()
        }
        found = {}
        for name, table in TABLES.items():
            rows = con.execute(
                f"select {', '.join(table.columns)} from {SCHEMA}.{name} where until = {CURRENT}", binary=True
            ).fetchall()
            places = [place for place, column in enumerate(table.columns) if column in ("id", "collection")]
            texts = [
                place
                for place, (column, kind) in enumerate(table.columns.items())
                if kind == "bytea" and column != "body"
            ]
            found[name] = sorted(
                (
                    tuple(
                        names[value]
                        if place in places
                        else value.decode()
                        if place in texts and value is not None
                        else value
                        for place, value in enumerate(row)
                    )
                    for row in rows
                ),
                key=repr,
            )
    return found


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as con:
        found = con.execute(sql)
        return found.fetchall() if found.description else []


def test_each_publication_has_the_rows_of_the_one_in_files(
    changing: Market, tmp_path: Path, new_database: Callable[..., str]
) -> None:
    database = new_database("template template0 encoding 'LATIN1' locale 'C'")
    for change in (lambda _: None, *CHANGES):
        change(changing)
        assert changing.publish(database).is_new
        changing.publish(tmp_path / "store")
        files = contents(tmp_path / "store")
        holdings = files.pop("holdings")
        assert rows_of(database) == files
        owned = query(
            database,
            f"select t.owner, c.name, t.token from {SCHEMA}.tokens t join {SCHEMA}.collections c "
            f"on c.id = t.collection where t.until = {CURRENT} and c.until = {CURRENT} and t.owner is not null",
        )
        assert {tuple(name.decode() for name in row) for row in owned} == set(holdings)


def test_only_what_changed_is_written(changing: Market, database: str) -> None:
    first = changing.publish(database)
    assert (first.rows["tokens"], first.rows["history"], first.anew) == (48, 40, "the first publication")
    changing.value_again(("Apes",))
    second = changing.publish(database)
    assert (second.rows["tokens"], second.rows["history"], second.collections_changed) == (12, 10, 1)
    assert (second.rows["collections"], second.rows["aliases"]) == (1, 0)
    again = changing.publish(database, now=time.time())
    assert (again.version, again.is_new) == (second.version, False)
    assert open_store(database).current().pointer.confirmed_at > 1_768_000_000


def test_the_last_three_versions_are_kept_and_others_only_for_a_minute(
    changing: Market, database: str
) -> None:
    an_hour_passes = f"update {SCHEMA}.publications set retired_at = retired_at - interval '1 hour'"
    versions = []
    for day in range(6):
        if day == 3:
            query(database, an_hour_passes)
        changing.value_again(("Apes",), 1.0 + day / 10)
        versions.append(changing.publish(database).version)
        if day == 2:
            assert len(query(database, f"select 1 from {SCHEMA}.publications")) == 3
    kept = query(database, f"select version from {SCHEMA}.publications order by number")
    # The first was retired long ago; the third, which is beyond the last three, just now.
    assert [version for (version,) in kept] == versions[2:]
    query(database, an_hour_passes)
    changing.value_again(("Apes",), 2.0)
    versions.append(changing.publish(database).version)
    kept = query(database, f"select number, version from {SCHEMA}.publications order by number")
    assert [version for _, version in kept] == versions[-3:]
    assert query(database, f"select count(*) from {SCHEMA}.tokens where until <= {kept[0][0]}") == [(0,)]


def test_a_harmed_store_is_published_anew(changing: Market, database: str) -> None:
    last = changing.publish(database)
    before = rows_of(database)
    for harm in (
        f"drop table {SCHEMA}.tokens",
        f"alter table {SCHEMA}.tokens drop column body",
        f"delete from {SCHEMA}.collections",
        f"delete from {SCHEMA}.publications",
        f"drop table {SCHEMA}.publications",
    ):
        query(database, harm)
        report = changing.publish(database)
        assert report.anew is not None, harm
        assert report.anew.startswith("expected "), harm
        assert rows_of(database) == before, harm
        if "publications" not in harm:
            assert report.version > last.version
            last = report


def test_a_publication_while_another_runs_waits_or_is_refused(changing: Market, database: str) -> None:
    changing.publish(database)
    changing.value_again(("Apes",))
    with open_target(database, 1.0):
        with pytest.raises(PublicationBusyError, match=r"another one that runs for more than 0\.1 s"):
            changing.publish(database, config=PublicationConfig(lock_timeout_s=0.1))
        waiting = threading.Thread(target=changing.publish, args=(database,))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(60)
    assert query(database, f"select count(*) from {SCHEMA}.publications") == [(2,)]


def test_a_database_has_one_market(changing: Market, database: str) -> None:
    changing.publish(database, config=PublicationConfig(market='{"source": "simulator"}'))
    before = rows_of(database)
    with pytest.raises(PublicationError, match="each home needs a database of its own"):
        changing.publish(database, config=PublicationConfig(market='{"source": "files"}'))
    assert rows_of(database) == before


def test_a_lake_without_estimates_leaves_the_store(changing: Market, database: str) -> None:
    changing.publish(database)
    before = rows_of(database)
    changing.change("delete from predictions.token_estimates")
    with pytest.raises(PublicationError, match="found none"):
        changing.publish(database)
    assert rows_of(database) == before


def test_names_that_no_index_takes_whole_are_published(changing: Market, database: str) -> None:
    # Random, so that no compression makes it short.
    text = "".join(random.Random(1).choices(ascii_letters, k=20_000))
    changing.change(
        f"update predictions.token_estimates set token_id = token_id || '{text}' where collection = 'Apes'",
        f"update marts.fct_holdings set owner = '{text}' where collection = 'a/b'",
        f"update marts.dim_collections set contract = '{text}' where collection = '?x=1#y'",
    )
    changing.publish(database)
    edition = open_store(database).current()
    (apes,), (named,) = edition.resolve("Apes"), edition.resolve(text)
    page = edition.tokens(apes.id, TokenQuery(limit=5))
    assert [row.token[:1] for row in page] == ["0", "1", "1", "1", "2"]
    after = edition.tokens(apes.id, TokenQuery(limit=5, after=(0.0, page[1].token)))
    assert [row.token for row in after[:3]] == [row.token for row in page[2:]]
    assert edition.token(apes.id, page[0].token)
    assert len(edition.holdings(text.lower(), 100)) == 12
    assert named.name == "?x=1#y"


def test_versions_published_while_they_are_read_give_no_failed_and_no_mixed_answer(
    changing: Market, database: str
) -> None:
    """All tokens of a version have the same as-of, so two reads that mixed versions would show two."""
    changing.publish(database)
    store = open_store(database)
    assert isinstance(store, PostgresStore)
    number = store.current().resolve("Apes")[0].id
    stop = threading.Event()
    seen: set[str] = set()
    wrong: list[object] = []

    def read() -> None:
        try:
            while not stop.is_set():
                edition = store.current()
                bodies = list(edition.estimates([(number, str(token)) for token in range(10)]).values())
                bodies += [row.body for row in edition.tokens(number, TokenQuery(valued=True))]
                bodies.append(edition.token(number, "3") or b"")
                times = {body.rpartition(b'"as_of":')[2] for body in bodies}
                if len(times) != 1 or len(bodies) != 21:
                    wrong.append((edition.pointer.version, times))
                seen.add(edition.pointer.version)
        except Exception as error:  # noqa: BLE001 - a thread's failure must be seen
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    versions = set()
    for _ in range(4):
        changing.value_again(("Apes",))
        versions.add(changing.publish(database).version)
        store.refresh()
        time.sleep(0.05)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen & versions) >= 3
