"""`assay serve` and `assay api keys` from the outside: words, exit codes, and what is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from orchestration.cli.serve import api_config, serve
from orchestration.errors import HomeError
from orchestration.home import prepare_home, store_location
from orchestration.output.masking import masked
from orchestration.resources import open_lake
from orchestration.settings import SettingsError, load_settings
from serving.api.keys import KeyFile
from serving.explainer.source import ReasonSource
from tests.command import modules_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    prepare_home(load_settings(home=tmp_path))
    return tmp_path


def keys(*arguments: str, home: Path) -> str:
    result = CliRunner().invoke(app, ["api", "keys", *arguments, "--home", str(home)])
    assert result.exit_code == 0, result.exception or result.output
    return result.output


def test_a_key_is_shown_once_listed_without_its_text_and_revoked(home: Path) -> None:
    made = json.loads(keys("create", "portfolio site", "--limit", "5/second", "--json", home=home))
    file = KeyFile(home / "api")
    assert file.find(made["key"]).limit == "5/second"
    listed = keys("list", home=home)
    assert made["id"] in listed
    assert "portfolio site" in listed
    assert made["key"] not in listed
    keys("revoke", made["id"], home=home)
    assert file.find(made["key"]) is None
    assert json.loads(keys("list", "--json", home=home))[0]["revoked_at"]


def test_a_name_cannot_control_the_terminal(home: Path) -> None:
    keys("create", "evil \x1b[31m[bold]", home=home)
    assert "\x1b[31m" not in keys("list", home=home)


@pytest.mark.parametrize("arguments", [("revoke", "nobody"), ("create", "me", "--limit", "many")])
def test_wrong_input_is_refused_with_what_was_expected(home: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["api", "keys", *arguments, "--home", str(home)])
    assert isinstance(result.exception, SettingsError)
    assert "expected" in str(result.exception)


def test_a_folder_that_is_no_home_and_a_wrong_limit_are_refused(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HomeError, match="no Assay home"):
        serve(home=tmp_path / "elsewhere")
    monkeypatch.setenv("ASSAY_API_KEY_LIMIT", "many")
    with pytest.raises(SettingsError, match="100/second"):
        serve(home=home)


def test_settings_reach_the_api(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_API_ANONYMOUS", "false")
    monkeypatch.setenv("ASSAY_API_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("ASSAY_API_REFUSE_AFTER_H", "2")
    config = api_config(load_settings(home=home))
    assert (config.folder, config.keys) == (home.resolve() / "serving", home.resolve() / "api")
    assert (config.host, config.anonymous, config.refuse_after_s) == ("127.0.0.1", False, 7200)
    assert config.cors_origins == ("https://a.example", "https://b.example")
    assert type(config).from_json(config.to_json()) == config


def test_the_store_is_in_the_home_or_where_a_url_names_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=home)
    assert store_location(settings) == api_config(settings).store == home.resolve() / "serving"
    url = "postgresql://assay:s3cret@db.example/assay"
    monkeypatch.setenv("ASSAY_SERVING_STORE", url)
    settings = load_settings(home=home)
    config = api_config(settings)
    assert store_location(settings) == config.store == url
    assert type(config).from_json(config.to_json()) == config
    assert "s3cret" not in f"{settings!r} {config!r} {masked(url)}"
    monkeypatch.setenv("ASSAY_SERVING_STORE", "mysql://assay:s3cret@db.example/assay")
    with pytest.raises(SettingsError, match="published store's address must start with postgresql") as raised:
        load_settings(home=home)
    assert "s3cret" not in str(raised.value)


def test_reasons_are_computed_only_where_there_is_a_lake(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=home)
    assert api_config(settings).reasons is None
    assert not settings.lake_config().catalog_path.exists()
    open_lake(settings).snapshot_id()
    config = api_config(settings)
    assert config.reasons == ReasonSource.of_home(settings.lake_config())
    assert type(config).from_json(config.to_json()) == config
    monkeypatch.setenv("ASSAY_API_EXPLAIN", "false")
    assert api_config(load_settings(home=home)).reasons is None


def test_help_imports_no_server() -> None:
    program = "from orchestration.cli.app import app; app(['serve', '--help'], standalone_mode=False)"
    assert not modules_of(program) & {"fastapi", "granian", "limits", "prometheus_client", "starlette"}


def test_the_settings_of_the_api_load_no_model_library(home: Path) -> None:
    program = (
        "import sys; from orchestration.cli.serve import api_config\n"
        "from orchestration.settings import load_settings\n"
        "api_config(load_settings(home=sys.argv[1]))\n"
    )
    assert not modules_of(program, str(home)) & {"catboost", "dagster", "mlflow", "pandas"}
