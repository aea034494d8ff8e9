"""A simulator and two folders of files that overlap in one home, from the command line; then one of them leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lake.config import LakeConfig
from lake.connection import Lake

ASSAY = str(Path(sys.executable).parent / "assay")
SHARED, OWN = "0x" + "a" * 40, "0x" + "b" * 40
BEGIN = datetime(2025, 1, 2, tzinfo=UTC)
SALES = 60


def assay(home: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [ASSAY, *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ASSAY_REFITS": "2"},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """`exports` names its collection; `dune` has a third of the same sales 1 % dearer, and a collection of its own."""
    root, rng = tmp_path_factory.mktemp("folders"), np.random.default_rng(5)
    exports, dune = root / "exports", root / "dune"
    named = ["collection,contract,token_id,block_time,price_eth,buyer,seller,tx_hash,log_index"]
    bare = ["nft_contract_address,token_id,block_time,price_eth,buyer,seller,tx_hash"]
    for number in range(SALES):
        at = f"{BEGIN + timedelta(hours=12 * number, seconds=int(rng.integers(3600))):%Y-%m-%dT%H:%M:%SZ}"
        price = float(np.round(np.exp(rng.normal(0, 0.3)), 4))
        parties = f"0x{number + 1:040x},0x{number + 2:040x}"
        # The same sale under another position of the log: only its transaction tells that it is the same.
        named.append(f"Apes,{SHARED},{number % 20},{at},{price},{parties},0x{number + 1:064x},{100 + number}")
        if number % 3 == 0:
            bare.append(f"{SHARED},{number % 20},{at},{price * 1.01},{parties},0x{number + 1:064x}")
        bare.append(f"{OWN},{number % 20},{at},{price * 3},{parties},0x{number + 5000:064x}")
    for folder, lines in ((exports, named), (dune, bare)):
        folder.mkdir()
        (folder / "sales.csv").write_text("\n".join(lines) + "\n")
    return exports, dune


@pytest.mark.slow
def test_several_sources_are_one_market_and_one_can_leave(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    home, (exports, dune) = tmp_path / "home", folders
    market = ("--option", "collections=4", "--option", "days=45", "--option", "seed=3")
    assay(home, "sources", "add", "market", "--kind", "simulator", *market)
    assay(home, "sources", "add", "exports", "--data-dir", str(exports))
    assay(home, "sources", "add", "dune", "--data-dir", str(dune), "--priority", "2")
    summary = json.loads(assay(home, "run", "--json"))
    counted = {
        row["delivered_by"]: row for row in summary["reconciliation"] if row["delivered_by"] != "market"
    }
    assert all(row["difference"] == 0 for row in summary["reconciliation"])
    assert counted["exports"]["in_fct_sales"] == SALES
    assert counted["dune"]["in_fct_sales"] == SALES
    assert counted["dune"]["excluded_duplicate_other_source"] == SALES // 3
    with reading(home) as con:
        twice = con.execute(
            "select count(*), min(price_ratio), max(price_ratio), max(seconds_apart), bool_and(same_parties)"
            " from marts.sales_reported_twice where delivered_by = 'exports' and other_delivered_by = 'dune'"
        ).fetchone()
        assert twice == (SALES // 3, pytest.approx(1.01), pytest.approx(1.01), 0.0, True)
        assert valued(con) >= {"Apes", OWN}
    listed = {row["name"]: row for row in json.loads(assay(home, "sources", "--json"))["sources"]}
    assert {name: row["state"] for name, row in listed.items()} == dict.fromkeys(
        ("market", "exports", "dune"), "ok"
    )
    # Sales, and the two collections that they describe.
    assert listed["dune"]["rows"] == SALES + SALES // 3 + 2

    assay(home, "sources", "remove", "dune")
    again = json.loads(assay(home, "run", "--json"))
    assert {row["delivered_by"] for row in again["reconciliation"]} == {"market", "exports"}
    with reading(home) as con:
        assert "Apes" in valued(con)
        assert OWN not in valued(con)
        assert con.execute("select count(*) from marts.sales_reported_twice").fetchone() == (
            con.execute(
                "select count(*) from marts.sales_reported_twice where other_delivered_by = 'market'"
            ).fetchone()
        )
    assay(home, "sources", "remove", "dune", code=2)


def reading(home: Path) -> Any:
    return Lake(LakeConfig(home)).read()


def valued(con: duckdb.DuckDBPyConnection) -> set[str]:
    rows = con.execute(
        "select distinct collection from predictions.token_estimates where estimate_eth is not null"
    ).fetchall()
    return {str(row[0]) for row in rows}
