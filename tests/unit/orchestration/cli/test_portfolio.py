"""`assay portfolio` refuses wrong input before it opens anything."""

from pathlib import Path

import pytest

from orchestration.cli.portfolio import portfolio
from orchestration.errors import HomeError
from orchestration.home import prepare_home
from orchestration.settings import SettingsError, load_settings


def test_one_of_owner_and_tokens_is_wanted(tmp_path: Path) -> None:
    for owner, tokens in ((None, None), ("0xab", tmp_path / "mine.csv")):
        with pytest.raises(SettingsError, match="either --owner ADDRESS or --tokens"):
            portfolio(owner=owner, tokens=tokens, home=tmp_path)


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
