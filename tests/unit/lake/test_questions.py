"""A question of somebody else reads the lake, and nothing and nobody is changed by it."""

import sqlite3
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import LakeError, QuestionError, UnknownSnapshotError
from lake.questions import asked


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    home = tmp_path_factory.mktemp("home")
    lake = Lake(LakeConfig(home=home))
    with lake.write("a table") as con:
        con.execute("create table marts.prices as select range as token, 1.5 * range as eth from range(4)")
    with lake.write("another price") as con:
        con.execute("insert into marts.prices values (9, 9)")
    with sqlite3.connect(home / "secrets.sqlite") as con:
        con.execute("create table keys (key text)")
    (home / "private.txt").write_text("secret")
    return lake


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("select count(*) from marts.prices", (5,)),
        ("from marts.prices order by eth desc", (9, 9.0)),
        ("with a as (from marts.prices) select max(token) from a", (9,)),
        ("select sum(range) from range(3)", (3,)),
        ("select column_name from (describe marts.prices)", ("token",)),
        ("select * from (values ('; drop table marts.prices'))", ("; drop table marts.prices",)),
        ("select table_name from duckdb_tables() where schema_name = 'marts'", ("prices",)),
    ],
)
def test_a_question_is_answered(lake, question, first):
    with asked(lake, question) as con:
        assert con.fetchone() == first


def test_a_question_about_an_earlier_snapshot(lake):
    with asked(lake, "select count(*) from marts.prices", lake.snapshot_id() - 1) as con:
        assert con.fetchone() == (4,)
    with pytest.raises(UnknownSnapshotError), asked(lake, "select 1", 10**6):
        pass


ATTEMPTS = {
    "nothing": "",
    "a typing error": "selec 1",
    "two": "select 1; select 2",
    "a deletion": "delete from marts.prices",
    "a new table": "create table marts.t as select 1",
    "a deletion inside": "with a as (delete from marts.prices returning *) from a",
    "a deletion in a text": "from query('delete from marts.prices')",
    "a copy out": "copy (select 1) to '{home}/out.csv'",
    "a copy into the lake's folder": "copy (select 1) to '{data}out.parquet'",
    "a copy that is explained": "explain analyze copy (select 1) to '{data}out.parquet'",
    "another database": "attach '{home}/new.db'",
    "an extension": "install httpfs",
    "a switch": "set enable_external_access = true",
    "a pragma": "pragma enable_profiling",
    "a text file": "from read_text('{home}/private.txt')",
    "a text file by its name": "from '{home}/private.txt'",
    "a list of files": "from glob('{home}/*')",
    "another SQLite file": "from sqlite_scan('{home}/secrets.sqlite', 'keys')",
    "another SQLite file, deep": "select 1 where exists (from (select (from \"SQLITE_SCAN\"('{home}/secrets.sqlite', "
    "'keys'))))",
    "the catalog past DuckDB": "from sqlite_query('__ducklake_metadata_lake', 'delete from ducklake_table')",
    "a cleanup": "from ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "orphaned files": "from ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "snapshots": "from ducklake_expire_snapshots('lake', older_than => now())",
    "a merge": "from ducklake_merge_adjacent_files('lake')",
    "logging": "from enable_logging(storage = 'file', storage_path = '{home}/logs')",
    "an address": "from 'http://127.0.0.1:1/x.csv'",
    "an error while it is read": "select error(token::varchar) from marts.prices",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_could_change_or_reach_something_is_refused(lake, attempt):
    home, data = lake.config.home, Path(lake.data_folder)
    before = {
        path: path.stat().st_size for path in home.rglob("*") if path.suffix in (".parquet", ".csv", ".db")
    }
    question = ATTEMPTS[attempt].format(home=home, data=f"{data}/")
    with pytest.raises(QuestionError), asked(lake, question) as con:
        con.fetchall()
    after = {
        path: path.stat().st_size for path in home.rglob("*") if path.suffix in (".parquet", ".csv", ".db")
    }
    assert after == before
    assert not (home / "logs").exists()
    with lake.read() as con:
        assert con.execute("select count(*) from marts.prices").fetchone() == (5,)


def test_a_question_leaves_other_readers_as_they_are(lake):
    with asked(lake, "select 1") as con, lake.read() as other:
        assert con.fetchone() == (1,)
        assert other.execute("select current_setting('enable_external_access')").fetchone() == (True,)


def test_a_refused_question_is_an_error_of_the_lake():
    assert issubclass(QuestionError, LakeError)
