"""`assay portfolio` and `assay gains` as their users meet them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from typer.testing import CliRunner, Result

from lake.connection import Lake
from ml.portfolio.wallets import record_wallet_valuations
from orchestration.cli.app import app
from orchestration.home import prepare_home
from orchestration.settings import SettingsError, load_settings
from tests.unit.ml.portfolio.conftest import DAY, NOW, ONE, TWO

pytestmark = pytest.mark.slow

BOTH = ("--wallet", ONE, "--wallet", TWO.upper())


def assay(lake: Lake, *words: str) -> Result:
    """What the command line printed, and what it raised."""
    home = lake.config.home
    prepare_home(load_settings(home=home))
    return CliRunner().invoke(app, [*words, "--home", str(home)], env={"COLUMNS": "80"})


def printed(lake: Lake, *words: str) -> str:
    """What the command line printed; it must have succeeded."""
    result = assay(lake, *words)
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_the_owner_reads_value_cost_and_gain_in_eighty_columns(owned: Lake) -> None:
    text = printed(owned, "portfolio", *BOTH)
    assert max(map(len, text.splitlines())) <= 80
    for expected in (
        "80 %: ",
        "of 1 tokens; 1 have no known cost",
        "+1.2",
        "unknown",
        "no sales",
        "realised +1 ETH by 2 sales, 1 of them without a known gain",
        "1 tokens without a known cost: 1 received_without_price",
    ):
        assert expected in text, expected


def test_amounts_in_dollars_use_the_rate_of_now_for_values_and_of_then_for_costs(owned: Lake) -> None:
    text = printed(owned, "portfolio", *BOTH, "--currency", "USD")
    assert "value, USD" in text
    assert "+4500" in text


def test_json_has_everything_and_csv_one_row_per_token(owned: Lake) -> None:
    document = json.loads(printed(owned, "portfolio", *BOTH, "--json"))
    assert document["gain_eth"] == pytest.approx(1.2)
    assert {row["days"] for row in document["changes"]} == {1, 7, 30}
    rows = list(csv.DictReader(io.StringIO(printed(owned, "portfolio", *BOTH, "--csv"))))
    assert [(row["token_id"], row["basis_status"], row["gain_eth"]) for row in rows] == [
        ("1", "carried", str(document["tokens"][0]["gain_eth"])),
        ("2", "unknown", ""),
    ]


def test_the_past_can_be_asked_for(owned: Lake) -> None:
    document = json.loads(printed(owned, "portfolio", *BOTH, "--json", "--as-of", str(NOW.date())))
    assert document["as_of"].startswith("2022-06-01")
    assert document["value"]["sum_eth"] == pytest.approx(2.2)


def test_what_was_valued_later_is_not_in_the_past(owned: Lake) -> None:
    with owned.write("two days") as con:
        for day in (NOW, NOW + 9 * DAY):
            record_wallet_valuations(con, day)
            con.execute("delete from marts.fct_wallet_positions where token_id = '2'")
    then = str(NOW.date())
    days = [row["as_of"][:10] for row in json.loads(printed(owned, "portfolio", *BOTH, "--json"))["history"]]
    assert days == [then, str((NOW + 9 * DAY).date())]
    past = json.loads(printed(owned, "portfolio", *BOTH, "--json", "--as-of", then))
    assert [row["as_of"][:10] for row in past["history"]] == [then]


def test_gains_are_rows_that_a_tax_tool_can_read(owned: Lake) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(owned, "gains", *BOTH, "--csv", "--year", "2022"))))
    by_asset = {row["asset"]: row for row in rows}
    sold = by_asset["apes #3"]
    assert (sold["cost_basis_eth"], sold["proceeds_eth"], sold["gain_eth"]) == (
        "2.000000000000000000",
        "3.000000000000000000",
        "1.000000000000000000",
    )
    assert (sold["gain_usd"], sold["term"], sold["holding_days"]) == ("4000.00", "long", "370")
    unknown = by_asset["apes #4"]
    assert (unknown["gain_eth"], unknown["gain_usd"], unknown["cost_basis_usd"]) == ("", "", "")
    assert unknown["no_gain_reason"] == "received_without_price"
    assert printed(owned, "gains", *BOTH, "--csv", "--year", "2021") == ""


def test_a_gain_that_is_not_known_is_never_printed_as_a_number(owned: Lake) -> None:
    text = printed(owned, "gains", *BOTH)
    assert "gain +1 ETH of 1 of 2 sold; 1 without a known gain are not in it" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "nothing was given away" in printed(owned, "gains", *BOTH, "--year", "2020")


def test_a_name_that_a_spreadsheet_would_run_is_text(owned: Lake) -> None:
    with owned.write("a hostile name") as con:
        for table in ("fct_acquisitions", "fct_disposals"):
            con.execute(f"update marts.{table} set collection = '=cmd|calc' where token_id = '3'")
    text = printed(owned, "gains", *BOTH, "--csv")
    assert "'=cmd|calc" in text
    assert ",=cmd" not in text
    assert "\n=cmd" not in text


def test_an_owner_of_nothing_is_an_error_and_not_a_value_of_zero(owned: Lake) -> None:
    raised = assay(owned, "portfolio", "--owner", "0xelsewhere").exception
    assert isinstance(raised, SettingsError)
    assert "no token is known to be held by 0xelsewhere" in str(raised)
