"""`assay explain` as its user meets it: a readable answer, JSON, tables, and help for a typing error."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from orchestration.cli.app import app
from orchestration.cli.render.explanation import eth
from orchestration.errors import HomeError
from orchestration.home import prepare_home
from orchestration.settings import SettingsError, load_settings
from tests.unit.ml.explain.conftest import OWN, Market


def assay(market: Market, *words: str) -> Result:
    """What the command line printed, and what it raised."""
    home = market.lake.config.home
    prepare_home(load_settings(home=home))
    return CliRunner().invoke(app, ["explain", *words, "--home", str(home)], env={"COLUMNS": "110"})


def printed(market: Market, *words: str) -> str:
    """What the command line printed; it must have succeeded."""
    result = assay(market, *words)
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_the_owner_reads_price_parts_sales_and_track_record(copied: Market) -> None:
    document = json.loads(printed(copied, OWN, "7", "--json"))
    assert sum(step["eth_effect"] for step in document["steps"]) == pytest.approx(document["estimate_eth"])

    for_people = printed(copied, OWN, "7", "--k", "2")
    for expected in (
        f"{OWN} #7",
        f"{eth(document['estimate_eth'])} ETH",
        "A typical token of the collection today",
        "hat: ",
        "This token: last sold for",
        f"#{document['comparables'][0]['sold_token_id']}",
        document["model"]["version"],
        "Track record: on the last",
    ):
        assert expected in for_people


def test_a_whole_collection_can_be_kept(copied: Market) -> None:
    assert "40 of 40 tokens explained" in printed(copied, OWN, "--all", "--write")
    with copied.lake.read() as con:
        kept = con.execute(
            "select count(distinct token_id) from predictions.explanations"
            " union all select count(distinct token_id) from predictions.comparables"
        ).fetchall()
    assert kept == [(40,), (40,)]
    document = json.loads(printed(copied, OWN, "--all", "--json"))
    for name, rows in document["rows"].items():
        assert len(rows) == document[name] > 0
    total = sum(row["eth_effect"] for row in document["rows"]["components"] if row["token_id"] == "7")
    (explained,) = (row["explained_eth"] for row in document["rows"]["tokens"] if row["token_id"] == "7")
    assert total == pytest.approx(explained)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("c00", "7"), "did you mean c0"),
        ((OWN, "3x"), "no token '3x' in c0"),
        ((OWN,), "either a token or --all"),
    ],
)
def test_a_typing_error_is_answered_with_similar_names(
    copied: Market, words: tuple[str, ...], answer: str
) -> None:
    raised = assay(copied, *words).exception
    assert isinstance(raised, SettingsError | HomeError), "what the entry point reports without a traceback"
    assert answer in str(raised)
