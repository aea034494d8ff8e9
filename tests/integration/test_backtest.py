"""`assay backtest` as a user runs it: the file it writes, killed and run again, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from ml.ledger.ledger import LEDGER_SCHEMA
from tests.command import Done, assay

ASSAY = str(Path(sys.executable).parent / "assay")
WINDOW = ("--from", "2025-02-15", "--to", "2025-03-17", "--refit-every", "10d")

pytestmark = pytest.mark.slow


def _market(home: Path) -> dict[str, str]:
    return {"ASSAY_COLLECTIONS": "8", "ASSAY_DAYS": "90", "ASSAY_REFITS": "2", "ASSAY_HOME": str(home)}


def _assay(home: Path, *options: str) -> Done:
    return assay("backtest", *options, **_market(home))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    folder = tmp_path_factory.mktemp("backtest")
    out = folder / "ledger.parquet"
    done = _assay(folder / "home", *WINDOW, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "home", out, json.loads(done.stdout)


def test_the_ledger_has_every_sale_of_the_window(home: tuple[Path, Path, dict]) -> None:
    folder, out, document = home
    ledger = pq.read_table(out)
    assert ledger.schema.equals(LEDGER_SCHEMA)
    with Lake(LakeConfig(home=folder)).read() as con:
        expected = con.execute(
            "select sale_id from marts.fct_sales"
            " where as_of >= '2025-02-15' and known_at < '2025-03-17' and price_eth > 0"
        ).fetchall()
        trained = con.execute("select count(*) from ops.champions").fetchall()
    assert sorted(ledger["sale_id"].to_pylist()) == sorted(row[0] for row in expected)
    assert trained == [(0,)]  # the home's own models were not touched
    assert document["ledger"] == str(out)
    assert document["accuracy"]["data"]["rows"] == ledger.num_rows


def test_killed_and_run_again_it_writes_the_same_bytes(home: tuple[Path, Path, dict], tmp_path: Path) -> None:
    folder, out, _ = home
    parts = next((folder / "backtest").iterdir())
    for path in parts.glob("period-*"):
        path.unlink()
    again = tmp_path / "again.parquet"
    running = subprocess.Popen(
        [ASSAY, "backtest", *WINDOW, "--out", str(again)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **_market(folder)},
    )
    while not (parts / "period-000.json").exists() and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    first = parts / "period-000.json"
    kept = first.stat().st_mtime_ns
    assert not again.exists()
    done = _assay(folder, *WINDOW, "--out", str(again))
    assert done.returncode == 0, done.stderr[-3000:]
    assert again.read_bytes() == out.read_bytes()
    assert first.stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "2025-03-01", "--to", "2025-02-01"), "--from must be before --to"),
        (("--from", "2025-02-15", "--to", "2025-03-17", "--refit-every", "monthly"), "--refit-every expects"),
        (
            ("--from", "2025-02-15", "--to", "2025-03-17", "--collections", "sim-0000"),
            "did you mean sim-0000",
        ),
        (("--from", "2025-02-15", "--to", "2025-02-15T00:00:01"), "expected sales between"),
        (("--source", "files", "--data-dir", "no/such/folder", *WINDOW), "found nothing at"),
    ],
)
def test_wrong_options_are_refused(
    home: tuple[Path, Path, dict], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    folder, _, _ = home
    done = _assay(folder, *options, "--out", str(tmp_path / "none.parquet"))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "none.parquet").exists()
