"""The options of `assay sources add`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli.sources import sources
from orchestration.settings import SettingsError, load_settings


@pytest.mark.parametrize("option", ["data_dir=one", "priority=3", "name=other", "kind=simulator"])
def test_an_option_cannot_say_what_has_a_way_of_its_own(tmp_path: Path, option: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "sales.csv").write_text("collection,token_id,timestamp,price\na,1,2025-01-01,1\n")
    given = ["add", "one", "--data-dir", str(tmp_path / "one"), "--home", str(tmp_path / "home")]
    done = CliRunner().invoke(sources, [*given, "--option", option])
    assert isinstance(done.exception, SettingsError)
    assert not (tmp_path / "home").exists()
    done = CliRunner().invoke(sources, [*given, "--option", "chain=polygon"])
    assert done.exception is None
    (config,) = load_settings(home=tmp_path / "home").source_configs
    assert (config.name, config.options["chain"]) == ("one", "polygon")


def test_a_relative_folder_is_relative_to_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "sales.csv").write_text("collection,token_id,timestamp,price\na,1,2025-01-01,1\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(sources, ["add", "one", "--data-dir", "one", "--home", "home"])
    assert done.exception is None
    (config,) = load_settings(home=tmp_path / "home").source_configs
    assert config.options["data_dir"] == str(tmp_path / "one")
