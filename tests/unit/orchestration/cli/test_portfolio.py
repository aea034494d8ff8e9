"""`assay portfolio` refuses wrong input before it opens anything."""

from pathlib import Path

import pytest

from ml.portfolio.statement import make_statement
from orchestration.cli.gains import gains
from orchestration.cli.portfolio import portfolio, resolve_wallets
from orchestration.cli.render.statement import print_statement
from orchestration.errors import HomeError
from orchestration.home import prepare_home
from orchestration.resources import open_lake
from orchestration.settings import SettingsError, load_settings


def test_one_of_owner_and_tokens_is_wanted(tmp_path: Path) -> None:
    for owner, wallet, tokens in (
        (None, None, None),
        (["0xab"], None, tmp_path / "mine.csv"),
        (None, ["0xab"], tmp_path / "mine.csv"),
    ):
        with pytest.raises(SettingsError, match="either --owner or --wallet, or --tokens"):
            portfolio(owner=owner, wallet=wallet, tokens=tokens, home=tmp_path)


def test_gains_have_an_owner_and_a_year_that_can_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="whose gains"):
        gains(home=tmp_path)
    with pytest.raises(SettingsError, match="a year such as 2022"):
        gains(wallet=["0xab"], year=22, home=tmp_path)


def test_an_owner_is_a_name_of_the_file_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "wallets.yaml").write_text("me: ['0xAB', '0xcd']\n")
    assert resolve_wallets(tmp_path, ["me", "0xEF"], ["0xCD"]) == ["0xab", "0xcd", "0xef"]
    with pytest.raises(SettingsError, match=r"a name in wallets.yaml \(me\), found 'my wallet'"):
        resolve_wallets(tmp_path, ["my wallet"], [])
    (tmp_path / "wallets.yaml").write_text("me: 3\n")
    with pytest.raises(SettingsError, match="list of addresses"):
        resolve_wallets(tmp_path, ["me"], [])


def test_a_folder_that_is_no_home_and_a_file_without_columns_are_refused(tmp_path: Path) -> None:
    listing = tmp_path / "mine.csv"
    listing.write_text("collection,token\napes,1\n")
    with pytest.raises(HomeError, match="is no Assay home"):
        portfolio(tokens=listing, home=tmp_path)
    prepare_home(load_settings(home=tmp_path))
    with pytest.raises(SettingsError, match=r"missing \['token_id'\]"):
        portfolio(tokens=listing, home=tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        portfolio(tokens=tmp_path / "other.csv", home=tmp_path)


def test_a_portfolio_that_holds_nothing_now_reports_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(home=tmp_path)
    prepare_home(settings)
    with open_lake(settings).read() as con:
        print_statement(make_statement(con, [], None), [], None, "ETH")
    printed = capsys.readouterr().out
    assert "No token is held now" in printed
    assert "None" not in printed
