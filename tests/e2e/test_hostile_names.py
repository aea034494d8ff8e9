"""Collections with names that mean something to a shell, a page, a picture, a file system or a terminal.

One small home with all of them goes through the main job and every command that prints names.
"""

from __future__ import annotations

import csv
import json
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.config import LakeConfig
from lake.connection import Lake
from orchestration.cli.app import app
from tests.command import assay
from tests.names import HOSTILE

OWNER = f"0x{'b' * 40}"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

pytestmark = pytest.mark.slow


def _run(home: Path, *arguments: str) -> None:
    """A command that runs jobs, as a user starts it."""
    done = assay(arguments[0], "--home", str(home), *arguments[1:], ASSAY_REFITS="2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert not CONTROL.search(done.stdout + done.stderr)


def _assay(home: Path, *arguments: str) -> str:
    """A command that prints, in this process: a new one costs seconds, and there are many names."""
    done = CliRunner().invoke(
        app, [arguments[0], "--home", str(home), *arguments[1:]], env={"COLUMNS": "200"}
    )
    assert done.exit_code == 0, f"{arguments}: {done.exception!r} {done.output[-3000:]}"
    assert not CONTROL.search(done.output), f"{arguments}: {CONTROL.findall(done.output)}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    data, home = folder / "data", folder / "home"
    data.mkdir()
    start, chance = datetime.fromisoformat("2024-01-01"), random.Random(7)
    with (data / "sales.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["collection", "token_id", "timestamp", "price", "currency", "buyer", "seller"])
        for name in HOSTILE:
            for i in range(120):
                at = start + timedelta(hours=6 * i, minutes=chance.randrange(300))
                price = 1 + chance.random()
                seller = f"0x{chance.getrandbits(160):040x}"
                rows.writerow([name, i % 9, at.isoformat(), f"{price:.3f}", "ETH", OWNER, seller])
    _run(home, "run", "--source", "files", "--data-dir", str(data))
    return home


def test_every_name_reaches_the_lake_as_it_is(home):
    with Lake(LakeConfig(home=home)).read() as con:
        found = con.execute("select distinct collection from predictions.token_estimates").fetchall()
    assert {name for (name,) in found} == set(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_token_is_explained_and_its_collection_has_a_history(home, name):
    assert "How the price comes about" in _assay(home, "explain", "--", name, "1")
    assert json.loads(_assay(home, "explain", "--json", "--", name, "1"))["collection"] == name
    assert json.loads(_assay(home, "why", "--json", "--", name))["collection"] == name
    assert "market" in _assay(home, "why", "--", name)


def test_everything_else_prints(home, tmp_path):
    _assay(home, "status")
    _assay(home, "alerts")
    assert _assay(home, "portfolio", "--owner", OWNER)
    listed = tmp_path / "tokens.csv"
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([("collection", "token_id"), *((name, "1") for name in HOSTILE)])
    printed = _assay(home, "portfolio", "--tokens", str(listed))
    assert "$100% Gang$" in printed
    assert "[bold]x[/bold]" in printed
    assert "[/]" in printed


def test_a_report_of_a_backtest_prints_and_writes_pages(home, tmp_path):
    ledger = tmp_path / "ledger.parquet"
    _run(home, "backtest", "--from", "2024-01-20", "--to", "2024-02-10", "--out", str(ledger))
    done = CliRunner().invoke(app, ["report", str(ledger)])
    assert done.exit_code == 0, done.output
    assert not CONTROL.search(done.output)
    for page in (tmp_path / "ledger-report").rglob("*.*"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text or page.suffix == ".json"
        assert not CONTROL.search(text) or page.suffix == ".json"


def test_every_file_of_the_home_is_its_owners_alone(home):
    # A link has no permissions of its own: Linux shows all of them as set, and asks those of the file.
    own = (path for path in (home, *home.rglob("*")) if not path.is_symlink())
    shared = [path for path in own if path.stat().st_mode & 0o077]
    assert shared == []
