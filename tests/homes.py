"""Homes that several test files start from: each is made once per session, whichever worker asks first.

Here: what is made, and where it is kept. A test that writes takes a copy; who only reads may share.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from benchmarks import steps
from benchmarks.real_data import BUNDLE
from tests.command import assay

FINISHED = ("--collections", "12", "--days", "120")
SMALL = (*steps.SMALL.options, "--days", str(steps.SMALL.days))
FEWER_FITS = dict(steps.SMALL.variables)
"""For runs of `SMALL`."""


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name that all workers of this session share; `make` fills it, unless it was.

    A `make` that fails is tried again by the next who asks.
    """
    root = shared_folder(factory)
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            part = root / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.replace(folder)
    return folder


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder of this session's own: beside the workers' folders, if there are workers."""
    base = factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "homes"
    root.mkdir(exist_ok=True)
    return root


def finished_market(factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A simulated market after `assay run`, and the JSON that it has printed. To be read, or copied."""

    def make(folder: Path) -> None:
        done = assay("run", "--json", "--home", str(folder / "home"), *FINISHED)
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "run.json").write_text(done.stdout)

    folder = made_once(factory, "finished-market", make)
    return folder / "home", json.loads((folder / "run.json").read_text())


def small_market(factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """`SMALL` after an undisturbed `assay run`, and how many seconds that took. To be read, or copied."""

    def make(folder: Path) -> None:
        began = time.monotonic()
        done = assay("run", "--home", str(folder / "home"), *SMALL, **FEWER_FITS)
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "seconds").write_text(str(time.monotonic() - began))

    folder = made_once(factory, "small-market", make)
    return folder / "home", float((folder / "seconds").read_text())


def drill_markets(factory: pytest.TempPathFactory) -> Path:
    """Where the drills keep the market on the eve of a fault; `build_market` makes it once and waits for who does."""
    return shared_folder(factory) / "drill-markets"


def real_bundle() -> Path:
    """The folder of the real market data; skips the test if it is not here."""
    if not (BUNDLE / "sales.parquet").exists():
        pytest.skip("The real market data are not here: set ASSAY_TEST_DATA to the folder that holds nft/.")
    return BUNDLE


def real_marts(factory: pytest.TempPathFactory) -> Path:
    """The home of the real bundle's rows, its marts built and tested. To be read, or copied."""
    bundle = real_bundle()

    def make(folder: Path) -> None:
        from orchestration.ingestion.days import insert_rows
        from sources.contract import RAW_TABLES
        from sources.files.source import FilesSource
        from tests.integration.marts_market import Marts, new_lake

        lake, source = new_lake(folder / "home"), FilesSource(bundle)
        window = source.first_known(), source.watermark() + timedelta(days=1)
        with lake.write("the real bundle") as con:
            for table in RAW_TABLES:
                for batch in source.read(table, *window):
                    con.register("rows", batch.rows)
                    con.register("rejected", batch.rejected)
                    insert_rows(con, source.name, table, "select * from rows", {})
                    insert_rows(con, source.name, "quarantine", "select * from rejected", {})
        Marts(lake, folder).dbt("build", "--exclude-resource-type", "unit_test")

    return made_once(factory, "real-marts", make) / "home"
