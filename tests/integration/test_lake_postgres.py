"""The team profile: a catalog in a real PostgreSQL that this test starts itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lake.config import SCHEMAS, LakeConfig
from lake.connection import Lake
from lake.errors import DataPathError, LakeLockedError
from lake.extensions import open_database
from lake.maintenance import maintain
from lake.ownership import MARKER
from lake.postgres import SECRET
from lake.storage import quoted
from tests.integration.marts_market import Marts, new_lake, sale, write_rows
from tests.postgres import binary, server, stoppable_server
from tests.unit.lake.conftest import foreign_file

ROOT = Path(__file__).resolve().parents[2]


# What breaks an address that is not encoded, a statement or a connection string that is not quoted.
PASSWORD = "p@ss:w/rd 'x\\y\"%?#&="


@pytest.fixture(scope="module")
def database_server() -> Iterator[str]:
    with server(PASSWORD) as port:
        yield f"postgresql://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"


@pytest.fixture
def catalog_url(database_server: str, request: pytest.FixtureRequest) -> str:
    """A database of the test's own: one catalog is one lake."""
    name = f"lake_{request.node.name[:50]}"
    _sql(database_server, f'create database "{name}"')
    return f"{database_server.replace('postgresql', 'postgresql+psycopg2')}/{name}"


def _sql(address: str, statement: str) -> None:
    psql = binary("psql")
    assert psql is not None
    subprocess.run(
        [psql, "-q", "-d", f"{address}/postgres", "-c", statement], check=True, capture_output=True, cwd="/"
    )


def test_a_postgres_catalog_reads_writes_travels_and_is_maintained(catalog_url: str, tmp_path: Path) -> None:
    lake = Lake(LakeConfig(tmp_path, catalog_url=catalog_url))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(1000)")
    then = lake.snapshot_id()
    with lake.write("append") as con:
        con.execute("insert into raw.numbers values (1000)")
    with lake.read() as con:
        assert con.execute("select count(distinct n) from raw.numbers").fetchone() == (1001,)
    with lake.read(then) as con:
        assert con.execute("select count(distinct n) from raw.numbers").fetchone() == (1000,)
    report = maintain(lake, keep_snapshots=[then], retention_days=0)
    assert report.snapshots_kept == 2


def test_the_advisory_lock_excludes_other_processes_and_ends_with_its_holder(
    catalog_url: str, tmp_path: Path
) -> None:
    lake = Lake(LakeConfig(tmp_path, catalog_url=catalog_url, lock_timeout_s=60))
    lake.snapshot_id()
    hold = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from lake.config import LakeConfig\n"
        "from lake.connection import Lake\n"
        "with Lake(LakeConfig(Path(sys.argv[1]), catalog_url=sys.argv[2])).writing('ingest May'):\n"
        "    print('holding', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path), catalog_url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "holding"
    impatient = Lake(LakeConfig(tmp_path, catalog_url=catalog_url, lock_timeout_s=0.5))
    with pytest.raises(LakeLockedError, match=f"{holder.pid}.*ingest May"), impatient.writing("append"):
        pass
    holder.kill()
    holder.wait()
    with lake.write("go on") as con:
        con.execute("create table raw.after_the_kill as select 1 as n")


def test_an_old_lake_on_postgres_stays_where_it_is_and_is_maintained_safely(
    catalog_url: str, tmp_path: Path
) -> None:
    exports = tmp_path / "exports"
    config = LakeConfig(tmp_path / "home", catalog_url=catalog_url, data_path=str(exports))
    con = open_database(("ducklake", "postgres_scanner"))
    for statement in config.postgres.secret_sql():
        con.execute(statement)
    con.execute(
        f"attach {quoted(config.ducklake_path)} as lake (data_path '{exports}/', meta_secret '{SECRET}')"
    )
    for schema in SCHEMAS:
        con.execute(f"create schema lake.{schema}")
    con.execute("create table lake.raw.numbers as select range as n from range(100)")
    con.execute("insert into lake.raw.numbers select range from range(100, 200)")
    con.close()
    precious = foreign_file(exports / "mine" / "precious.parquet")
    lake = Lake(config)
    assert lake.data_folder == f"{exports}/"
    report = maintain(lake, keep_snapshots=[], retention_days=0)
    assert (report.files_not_ours, precious.exists()) == (1, True)
    with lake.read() as con:
        assert con.execute("select count(distinct n) from raw.numbers").fetchone() == (200,)


def test_a_postgres_lake_is_identified_by_its_server_and_its_marker_has_no_password(
    database_server: str, catalog_url: str, tmp_path: Path
) -> None:
    exports = str(tmp_path / "exports")
    lake = Lake(LakeConfig(tmp_path / "one", catalog_url=catalog_url, data_path=exports))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(100)")
    marker = Path(lake.data_folder) / MARKER
    before = marker.read_text()
    assert not any(form in before for form in (PASSWORD, quote(PASSWORD, safe="")))
    assert "127.0.0.1" in before
    # Another machine, by another name of the same server.
    elsewhere = catalog_url.replace("127.0.0.1", "localhost")
    with Lake(LakeConfig(tmp_path / "two", catalog_url=elsewhere, data_path=exports)).read() as con:
        assert con.execute("select count(distinct n) from raw.numbers").fetchone() == (100,)
    assert marker.read_text() == before
    # A copy of the database has the lake's id and is another catalog.
    name = catalog_url.rsplit("/", 1)[1]
    _sql(database_server, f'create database "{name}_copy" template "{name}"')
    copy = LakeConfig(tmp_path / "three", catalog_url=f"{catalog_url}_copy", data_path=exports)
    with pytest.raises(DataPathError, match="is a copy: expected one catalog") as refused, Lake(copy).read():
        pass
    assert PASSWORD not in str(refused.value)
    # The way out, when the other one is out of use.
    marker.unlink()
    with Lake(copy).read() as con:
        assert con.execute("select count(distinct n) from raw.numbers").fetchone() == (100,)


def test_readers_of_a_postgres_lake_do_not_wait_for_a_writer(catalog_url: str, tmp_path: Path) -> None:
    config = LakeConfig(tmp_path, catalog_url=catalog_url, lock_timeout_s=0)
    Lake(config).snapshot_id()
    hold = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lake.config import LakeConfig\n"
        "from lake.connection import Lake\n"
        "with Lake(LakeConfig(Path(sys.argv[1]), catalog_url=sys.argv[2])).writing('a long build'):\n"
        "    print('holding', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path), catalog_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "holding"
        assert Lake(config).snapshot_id() > 0
        holder.communicate("")


def test_no_error_of_the_lake_shows_the_password(catalog_url: str, tmp_path: Path) -> None:
    wrong = catalog_url.replace("assay:p%40ss", "assay:planted%40ss")
    for url in (wrong, wrong.replace("127.0.0.1:", "127.0.0.1:1")[: len(wrong)], f"{wrong}?sslmode=nonsense"):
        config = LakeConfig(tmp_path, catalog_url=url, lock_timeout_s=1)
        for work in (
            lambda c=config: Lake(c).snapshot_id(),
            lambda c=config: Lake(c).writing("x").__enter__(),
        ):
            with pytest.raises(Exception) as failure:  # noqa: PT011 - whatever it is, it must not show the password
                work()
            message = "".join(traceback.format_exception(failure.value))
            assert "planted" not in message
        assert "planted" not in repr(config)


@pytest.mark.slow
def test_dbt_builds_the_marts_and_then_only_what_changed(catalog_url: str, tmp_path: Path) -> None:
    config = LakeConfig(tmp_path / "home", catalog_url=catalog_url, data_path=str(tmp_path / "files"))
    lake = new_lake(config)
    marts = Marts(lake, tmp_path)
    write_rows(lake, {"sales": [sale(1), sale(2)]})
    marts.dbt("run")
    write_rows(lake, {"sales": [sale(3, collection="punks")]})
    marts.dbt("run")
    with lake.read() as con:
        assert con.execute("select collection from ops.dirty_collections").fetchall() == [("punks",)]
        assert con.execute("select count(*) from marts.fct_sales").fetchone() == (3,)
    held = [path for path in tmp_path.rglob("*") if path.is_file() and b"p@ss:w" in path.read_bytes()]
    assert held == [], "dbt has written the password"


@pytest.mark.slow
def test_a_server_that_stops_in_the_middle_of_a_run_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = ["run", "--home", str(home), "--collections", "3", "--days", "30"]
    with stoppable_server() as started:
        process = subprocess.Popen(
            [sys.executable, "-c", "from orchestration.cli.app import main; main()", *command],
            env={**os.environ, "ASSAY_CATALOG_URL": f"postgresql://assay@127.0.0.1:{started.port}/postgres"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not any("/raw/sales" in str(file) for file in home.rglob("*.parquet")):
                assert process.poll() is None, "the run ended before it wrote sales"
                time.sleep(0.1)
            started.stop()
            output, errors = process.communicate()
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 1, errors[-3000:]
    assert "Expected the PostgreSQL server of this home to answer" in errors
    assert "run again: what was committed stays" in errors
    assert "Traceback" not in output + errors
