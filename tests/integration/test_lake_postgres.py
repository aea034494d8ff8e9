"""The team profile: a catalog in a real PostgreSQL that this test starts itself."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import LakeLockedError
from lake.maintenance import maintain
from tests.integration.marts_market import Marts, new_lake, sale, write_rows
from tests.postgres import server

ROOT = Path(__file__).resolve().parents[2]


# What breaks an address that is not encoded, a statement or a connection string that is not quoted.
PASSWORD = "p@ss:w/rd 'x\\y\"%?#&="


@pytest.fixture(scope="module")
def catalog_url() -> Iterator[str]:
    with server(PASSWORD) as port:
        yield f"postgresql+psycopg2://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"


def test_a_postgres_catalog_reads_writes_travels_and_is_maintained(catalog_url: str, tmp_path: Path) -> None:
    lake = Lake(LakeConfig(tmp_path, catalog_url=catalog_url))
    with lake.write("create") as con:
        con.execute("create table raw.numbers as select range as n from range(1000)")
    then = lake.snapshot_id()
    with lake.write("append") as con:
        con.execute("insert into raw.numbers values (1000)")
    with lake.read() as con:
        assert con.execute("select count(*) from raw.numbers").fetchone() == (1001,)
    with lake.read(then) as con:
        assert con.execute("select count(*) from raw.numbers").fetchone() == (1000,)
    report = maintain(lake, keep_snapshots=[then], retention_days=0)
    assert report.snapshots_kept == 2


def test_the_advisory_lock_holds_other_processes_off_and_dies_with_its_holder(
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
            told = "".join(traceback.format_exception(failure.value))
            assert "planted" not in told
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
