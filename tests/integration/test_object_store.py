"""The whole job with its databases in a real PostgreSQL and files in a real S3 server: killed, finished, compared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from lake.errors import DataPathError
from lake.maintenance import maintain
from lake.object_store import ObjectStore
from orchestration.last_run import last_run
from tests.command import assay
from tests.homes import FEWER_FITS, SMALL, small_market
from tests.object_store import BUCKET, KEYS, bucket, objects, put
from tests.postgres import server

PASSWORD = "p@ss/word"
PREFIX = "a market's/prefix"
DATABASES = ("ASSAY_CATALOG_URL", "ASSAY_SERVING_STORE", "ASSAY_DAGSTER_URL", "ASSAY_MLFLOW_URL")


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with bucket() as found:
        yield found


def lake_in(store: ObjectStore, home: Path, prefix: str = PREFIX, catalog_url: str | None = None) -> Lake:
    path = f"s3://{BUCKET}/{prefix}"
    return Lake(LakeConfig(home, catalog_url=catalog_url, data_path=path, object_store=store))


@pytest.mark.slow
def test_a_market_in_postgres_and_s3_is_killed_finished_and_is_the_same_market(
    store: ObjectStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with server(PASSWORD) as port:
        catalog_url = f"postgresql://assay:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        variables = {
            **FEWER_FITS,
            # One database for all: each has a schema or tables of its own.
            **dict.fromkeys(DATABASES, catalog_url),
            "ASSAY_DATA_PATH": f"s3://{BUCKET}/{PREFIX}",
            "ASSAY_MODELS_PATH": f"s3://{BUCKET}/the models",
            "ASSAY_S3_ENDPOINT": str(store.endpoint),
            "ASSAY_S3_PATH_STYLE": "true",
            "ASSAY_S3_ACCESS_KEY_ID": KEYS[0],
            "ASSAY_S3_SECRET_ACCESS_KEY": KEYS[1],
        }
        home = tmp_path / "home"
        command = ("run", "--home", str(home), *SMALL)
        _kill_when_tables_are_written(store, command, variables)
        done = assay(*command, **variables)
        assert done.returncode == 0, done.stderr[-3000:]

        embedded, _ = small_market(tmp_path_factory)
        lake = lake_in(store, home, catalog_url=catalog_url)
        assert not differences(content(Lake(LakeConfig(embedded))), content(lake))

        assert any(key.startswith("the models/") and key.endswith(".cbm") for key in objects(store))
        assert [path.name for path in home.rglob("*") if path.suffix in (".cbm", ".sqlite")] == []
        assert not list(home.rglob("runs.db"))
        newest = last_run(home, catalog_url)
        assert newest is not None
        assert newest["status"] == "success"

        then = lake.snapshot_id()
        with lake.write("empty a table") as con:
            con.execute("delete from predictions.token_estimates")
        with lake.read(then) as con:
            [(before,)] = con.execute("select count(*) from predictions.token_estimates").fetchall()
        report = maintain(lake, keep_snapshots=[then], retention_days=0)
        assert report.files_deleted > 0
        with lake.read(then) as con:
            assert con.execute("select count(*) from predictions.token_estimates").fetchone() == (before,)

        secrets = [KEYS[1].encode(), PASSWORD.encode()]
        written = [file for file in home.rglob("*") if file.is_file()]
        assert written
        assert not [file for file in written if any(secret in file.read_bytes() for secret in secrets)]
        assert KEYS[1] not in done.stdout + done.stderr


def _kill_when_tables_are_written(
    store: ObjectStore, command: tuple[str, ...], variables: dict[str, str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli.app import main; main()", *command],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not any("/marts/" in key for key in objects(store)):
            assert process.poll() is None, "the run ended before it wrote a mart"
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()


def test_two_lakes_of_one_bucket_keep_apart_and_foreign_objects_stay(
    store: ObjectStore, tmp_path: Path
) -> None:
    put(store, "shared/notes.txt", b"ours")
    first = lake_in(store, tmp_path / "a", "shared/one")
    second = lake_in(store, tmp_path / "b", "shared/two")
    for lake in (first, second):
        with lake.write("create") as con:
            con.execute("create table raw.numbers as select range as n from range(100)")
    put(store, "shared/one/assay-lake/raw/numbers/mine.parquet", b"not of the lake")
    with first.write("drop") as con:
        con.execute("drop table raw.numbers")
    maintain(first, keep_snapshots=[], retention_days=0)
    with second.read() as con:
        assert con.execute("select count(*) from raw.numbers").fetchone() == (100,)
    assert {"shared/notes.txt", "shared/one/assay-lake/raw/numbers/mine.parquet"} <= set(objects(store))
    with pytest.raises(DataPathError, match="another"):
        lake_in(store, tmp_path / "c", "shared/one").snapshot_id()


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, "both keys"),
        ({"ASSAY_S3_ACCESS_KEY_ID": "name"}, "found one"),
        ({"ASSAY_S3_ENDPOINT": "127.0.0.1:9000"}, "URL of a server"),
        ({"ASSAY_S3_ENDPOINT": "https://user:hunter2@s3.example.org"}, "URL of a server"),
        ({"ASSAY_S3_ENDPOINT": "http://[::1"}, "URL of a server"),
        ({"ASSAY_DATA_PATH": "gs://bucket"}, "s3://bucket"),
        ({"ASSAY_DATA_PATH": "s3://"}, "s3://bucket"),
    ],
)
def test_a_wrong_object_store_is_refused_before_a_home_is_made(
    variables: dict[str, str], found: str, tmp_path: Path
) -> None:
    keys = {"ASSAY_S3_ACCESS_KEY_ID": "name", "ASSAY_S3_SECRET_ACCESS_KEY": "hunter2"}
    given = {
        "ASSAY_DATA_PATH": "s3://bucket/prefix",
        **({} if "keys" in found or "one" in found else keys),
        **variables,
    }
    done = assay("run", "--home", str(tmp_path / "home"), **given)
    assert done.returncode == 2
    assert found in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert not (tmp_path / "home").exists()


def test_a_server_that_does_not_answer_and_a_bucket_that_is_not_there_are_one_sentence(
    store: ObjectStore, tmp_path: Path
) -> None:
    gone = ObjectStore(*KEYS, endpoint="http://127.0.0.1:9", path_style=True)
    nowhere = ObjectStore(*KEYS, endpoint=store.endpoint, path_style=True)
    for lake in (
        lake_in(gone, tmp_path / "gone"),
        Lake(LakeConfig(tmp_path / "b", data_path="s3://no-such-bucket/x", object_store=nowhere)),
    ):
        with pytest.raises(DataPathError, match="ASSAY_S3_ENDPOINT"):
            lake.snapshot_id()
