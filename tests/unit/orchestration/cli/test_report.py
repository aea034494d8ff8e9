"""`assay report` from the outside: files, exit codes, what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml.ledger.ledger import LEDGER_SCHEMA
from orchestration.cli.app import app


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of a market without a sale: what a young home has."""
    path = tmp_path / "ledger.parquet"
    pq.write_table(LEDGER_SCHEMA.empty_table(), path)
    return path


def test_the_report_is_written_next_to_the_ledger_and_where_asked(ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "accuracy.md"
    result = CliRunner().invoke(
        app, ["report", str(ledger), "--markdown", str(page), "--command", "assay backtest --from then"]
    )
    assert result.exit_code == 0, result.output
    folder = tmp_path / "ledger-report"
    assert {path.name for path in folder.iterdir()} == {
        "accuracy", "accuracy.md", "accuracy.html", "accuracy.json",
    }  # fmt: skip
    assert "assay backtest --from then" in page.read_text(encoding="utf-8")
    assert (page.parent / "accuracy" / "calibration.svg").exists()
    assert "0 sales of 0 collections" in result.output
    assert str(tmp_path) not in page.read_text(encoding="utf-8"), "a page names no path of the machine"


def test_json_is_the_document_and_nothing_else(ledger: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(ledger), "--json"])
    assert json.loads(result.stdout)["data"]["rows"] == 0


def test_a_file_that_is_no_ledger_gives_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nothing.parquet")])
    assert result.exit_code == 2
    assert "expected a Parquet ledger" in result.output
