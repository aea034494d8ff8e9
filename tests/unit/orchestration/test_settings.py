"""Wrong settings stop the program at start and say what is allowed."""

import pytest

from orchestration.home import prepare_home
from orchestration.settings import Settings, SettingsError, describe_settings, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("ASSAY_HOME", "ASSAY_SOURCE", "ASSAY_COLLECTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ASSAY_SOURCE", "excel", "'simulator' or 'files' or 'ethereum'"),
        ("ASSAY_COLLECTIONS", "0", "greater than or equal to 1"),
        ("ASSAY_COLLECTIONS", "many", "integer"),
        ("ASSAY_MEMORY_LIMIT", "lots", "memory DuckDB may use"),
        ("ASSAY_CATALOG_URL", "mysql://x", "postgresql://"),
        ("ASSAY_MODELS_PATH", "gs://bucket/models", "s3://bucket"),
        ("ASSAY_MODELS_PATH", " ", "found nothing"),
        ("ASSAY_FAULTS", "earthquake@3", "earthquake"),
        ("ASSAY_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_is_allowed(monkeypatch, variable, value, expected):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert variable in str(error.value)
    assert expected in str(error.value)


def test_a_misspelt_variable_is_refused_with_a_suggestion(monkeypatch):
    monkeypatch.setenv("ASSAY_COLECTIONS", "10")
    with pytest.raises(SettingsError, match="did you mean ASSAY_COLLECTIONS"):
        load_settings()


def test_files_without_a_folder_are_refused():
    with pytest.raises(SettingsError, match="data_dir"):
        load_settings(source="files")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data_dir": "/exports"}, "--data-dir: expected the source files, found simulator"),
        (
            {"source": "files", "data_dir": "/exports", "seed": 3},
            "--seed: expected the source simulator, found files",
        ),
    ],
)
def test_an_option_of_another_kind_of_source_is_refused(given, expected):
    with pytest.raises(SettingsError, match=expected):
        load_settings(**given)


def test_variables_may_describe_another_market_too(monkeypatch):
    monkeypatch.setenv("ASSAY_DATA_DIR", "/exports")
    assert load_settings(source="simulator").source == "simulator"


def test_options_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("ASSAY_COLLECTIONS", "10")
    assert load_settings(collections=20).collections == 20
    assert load_settings(collections=None).collections == 10


def test_child_processes_see_the_same_settings(monkeypatch, tmp_path):
    parent = load_settings(home=tmp_path, collections=11, as_of="2025-03-01T00:00:00+02:00")
    for name, value in parent.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == parent


def test_a_home_remembers_its_market(tmp_path):
    prepare_home(load_settings(home=tmp_path, collections=11, seed=3, days=90))
    later = load_settings(home=tmp_path)
    assert (later.collections, later.seed, later.days) == (11, 3, 90)
    assert load_settings(home=tmp_path, days=91).days == 91


def test_every_setting_is_described():
    described = {name for name, _, text in describe_settings() if text}
    assert described == {"ASSAY_" + name.upper() for name in Settings.model_fields}
