"""`assay explain` as its user meets it: a readable answer, JSON, tables, and help for a typing error."""

from __future__ import annotations

import json
import sys

import pytest

from orchestration.cli.app import main
from orchestration.explanation import eth
from tests.unit.ml.explain.conftest import OWN, Market


def assay(monkeypatch: pytest.MonkeyPatch, market: Market, *words: str) -> int:
    """Run the command line in this process; its exit code."""
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setattr(sys, "argv", ["assay", "explain", *words, "--home", str(market.lake.config.home)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_the_owner_reads_price_parts_sales_and_track_record(
    copied: Market, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert assay(monkeypatch, copied, OWN, "7", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(step["eth_effect"] for step in told["steps"]) == pytest.approx(told["estimate_eth"])

    assert assay(monkeypatch, copied, OWN, "7", "--k", "2") == 0
    printed = capsys.readouterr().out
    for expected in (
        f"{OWN} #7",
        f"{eth(told['estimate_eth'])} ETH",
        "A typical token of the collection today",
        "hat: ",
        "This token: last sold for",
        f"#{told['comparables'][0]['sold_token_id']}",
        told["model"]["version"],
        "Track record: on the last",
    ):
        assert expected in printed


def test_a_whole_collection_can_be_kept(
    copied: Market, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert assay(monkeypatch, copied, OWN, "--all", "--write") == 0
    assert "40 of 40 tokens explained" in capsys.readouterr().out
    with copied.lake.read() as con:
        kept = con.execute(
            "select count(distinct token_id) from predictions.explanations"
            " union all select count(distinct token_id) from predictions.comparables"
        ).fetchall()
    assert kept == [(40,), (40,)]


def test_a_typing_error_is_answered_with_what_comes_close(
    copied: Market, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert assay(monkeypatch, copied, "c00", "7") == 2
    assert "did you mean c0" in capsys.readouterr().err
    assert assay(monkeypatch, copied, OWN, "3x") == 2
    assert "no token '3x' in c0" in capsys.readouterr().err
    assert assay(monkeypatch, copied, OWN) == 2
    assert "either a token or --all" in capsys.readouterr().err
