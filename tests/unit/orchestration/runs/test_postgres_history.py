"""Dagster's run history in a real PostgreSQL: the same answers as in files, no secret, one market, made whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import psycopg2
import pytest

from orchestration.errors import HomeError
from orchestration.home import open_instance, prepare_home
from orchestration.last_run import last_run
from orchestration.partitions import register_collections
from orchestration.run_database import SCHEMA, SETTING, connect
from orchestration.runs.postgres_history import MaskedPostgresStorage
from orchestration.settings import Settings, load_settings
from tests.names import HOSTILE
from tests.postgres import server

PASSWORD = "p@ss:w/rd 'x\\y\"%?#&="


@dg.op
def reports(context) -> None:
    context.log.info(f"connecting with {PASSWORD} and {quote(PASSWORD, safe='')}")
    raise ValueError(f"refused {PASSWORD}")


@dg.op
def works() -> None:
    pass


@dg.job
def failing() -> None:
    reports()


@dg.job
def working() -> None:
    works()


@pytest.fixture(scope="module")
def database_server() -> Iterator[str]:
    with server(PASSWORD) as port:
        yield f"postgresql://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"


@pytest.fixture
def url(database_server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the test's own. Opening an instance sets the variable: it is put back."""
    monkeypatch.setenv(SETTING, "")
    monkeypatch.delenv(SETTING)
    name = request.node.name[:50]
    with closing(connect(f"{database_server}/postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(f'create database "{name}"')
    return f"{database_server}/{name}"


def home(folder: Path, url: str | None, **market: int) -> Settings:
    settings = load_settings(home=folder, dagster_url=url, **market)
    prepare_home(settings)
    return settings


def asked(url: str, question: str) -> list[tuple[object, ...]]:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        found: list[tuple[object, ...]] = cursor.fetchall()
        return found


def test_runs_partitions_and_the_last_run_are_kept_and_no_secret_is(url: str, tmp_path: Path) -> None:
    settings = home(tmp_path / "home", url)
    assert last_run(settings.home_path, url) is None
    with open_instance(settings) as instance:
        failed = failing.execute_in_process(instance=instance, raise_on_error=False)
        done = working.execute_in_process(instance=instance)
        events = instance.all_logs(failed.run_id)
        register_collections(instance, HOSTILE)
        assert len(instance.get_dynamic_partitions("collections")) == len(HOSTILE)
        assert "connecting with ***" in "".join(event.user_message for event in events)
    with open_instance(settings) as instance:
        assert {run.run_id for run in instance.get_runs()} == {failed.run_id, done.run_id}
        assert instance.get_run_by_id(failed.run_id).status == dg.DagsterRunStatus.FAILURE
        newest = last_run(settings.home_path, url)
        assert newest is not None
        assert (newest["run_id"], newest["status"]) == (done.run_id, "success")
    secrets = [PASSWORD, quote(PASSWORD, safe="")]
    for (table,) in asked(url, f"select tablename from pg_tables where schemaname = '{SCHEMA}'"):
        rows = str(asked(url, f'select t::text from {SCHEMA}."{table}" t'))
        assert not any(secret in rows or secret.replace('"', '\\"') in rows for secret in secrets), table
    # What the step printed, through Dagster's own logger, is in `storage`; jobs of Assay have a masked one.
    files = [f for f in settings.home_path.rglob("*") if f.is_file() and "storage" not in f.parts]
    assert not [file for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)]
    assert not list(settings.home_path.rglob("runs.db"))


def test_a_process_that_does_not_know_the_address_begins_no_second_history(url: str, tmp_path: Path) -> None:
    with open_instance(home(tmp_path / "home", url)):
        pass
    os.environ.pop(SETTING)
    without = home(tmp_path / "home", None)
    with pytest.raises(HomeError, match="Expected ASSAY_DAGSTER_URL"), open_instance(without):
        pass
    assert not list(tmp_path.rglob("runs.db"))


def test_an_address_that_does_not_work_leaves_the_history_in_the_files(url: str, tmp_path: Path) -> None:
    with open_instance(home(tmp_path / "home", None)) as instance:
        run_id = working.execute_in_process(instance=instance).run_id
    with open_instance(home(tmp_path / "other", url, seed=8)):
        pass
    no_server = f"{url.rpartition(':')[0]}:1/history"
    for wrong in (no_server, url):  # the second has the runs of another market
        with pytest.raises((psycopg2.OperationalError, HomeError)):
            open_instance(home(tmp_path / "home", wrong))
    os.environ.pop(SETTING)
    with open_instance(home(tmp_path / "home", None)) as instance:
        assert [run.run_id for run in instance.get_runs()] == [run_id]


def test_a_database_has_the_runs_of_one_market(url: str, tmp_path: Path) -> None:
    with open_instance(home(tmp_path / "one", url)):
        pass
    with open_instance(home(tmp_path / "elsewhere", url)):
        pass
    other = home(tmp_path / "two", url, seed=8)
    with pytest.raises(HomeError, match="another market") as refused, open_instance(other):
        pass
    assert PASSWORD not in str(refused.value)


def test_two_that_begin_at_once_make_one_history_and_what_a_killed_one_left_is_dropped(
    url: str, tmp_path: Path
) -> None:
    asked(url, f"create schema {SCHEMA}_unfinished; create table {SCHEMA}_unfinished.runs (id int); select 1")
    with ThreadPoolExecutor(2) as both:
        opened = list(both.map(MaskedPostgresStorage, [url, url]))
    assert [storage.run_storage.get_runs() for storage in opened] == [[], []]
    schemas = {row[0] for row in asked(url, "select nspname from pg_namespace where nspname like 'assay%'")}
    assert schemas == {SCHEMA}


def test_a_user_who_may_not_make_the_schema_is_refused(url: str, tmp_path: Path) -> None:
    asked(url, "create role reader login password 'reader-password'; select 1")
    address = url.rpartition("@")[2]
    settings = home(tmp_path / "home", f"postgresql://reader:reader-password@{address}")
    with pytest.raises(HomeError, match="may create the schema"), open_instance(settings):
        pass
