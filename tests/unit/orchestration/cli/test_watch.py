"""`assay watch`: contracts of a home, one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.errors import HomeError
from orchestration.ingestion.listed import watch
from orchestration.settings import load_settings
from sources.protocol import SourceError

ONE, TWO = "0x" + "a1" * 20, "0x" + "b2" * 20


@pytest.fixture(autouse=True)
def _node_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_RPC_URLS", "https://node.example/v3/secretkey0123456789")
    return


def test_the_first_contract_makes_a_source_and_the_others_join_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert watch(load_settings(home=home), [ONE.upper().replace("0X", "0x")], "2024-01-31") == (ONE,)
    assert watch(load_settings(home=home), [TWO, ONE], None) == (ONE, TWO)
    (config,) = load_settings(home=home).source_configs
    assert (config.kind, config.options["start"], config.append_only) == ("ethereum", "2024-01-31", False)
    assert "secretkey0123456789" not in "".join(p.read_text() for p in home.iterdir() if p.is_file())


def test_a_watched_contract_more_is_the_same_source(tmp_path: Path) -> None:
    home = tmp_path / "home"
    watch(load_settings(home=home), [ONE], "0")
    before = load_settings(home=home).source_configs[0].identity
    watch(load_settings(home=home), [TWO], None)
    assert load_settings(home=home).source_configs[0].identity == before


def test_what_cannot_be_watched_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(HomeError, match="--start"):
        watch(load_settings(home=home), [ONE], None)
    with pytest.raises(SourceError, match="addresses of contracts"):
        watch(load_settings(home=home), ["punks"], "0")
    assert not home.exists()
    watch(load_settings(home=home), [ONE], "0")
    with pytest.raises(HomeError, match="starts at 0"):
        watch(load_settings(home=home), [TWO], "2024-01-31")
    with pytest.raises(SourceError, match="addresses of contracts"):
        watch(load_settings(home=home), ["0x12"], None)
    assert load_settings(home=home).source_configs[0].options["contracts"] == ONE


def test_without_an_address_of_a_node_the_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ASSAY_RPC_URLS")
    with pytest.raises(SourceError, match="environment variable ASSAY_RPC_URLS"):
        watch(load_settings(home=tmp_path / "home"), [ONE], "0")


def test_two_that_watch_at_once_share_the_source_of_the_first(tmp_path: Path) -> None:
    home = tmp_path / "home"
    addresses = ["0x" + f"{i:040x}" for i in range(8)]
    with ThreadPoolExecutor(len(addresses)) as pool:
        list(pool.map(lambda one: watch(load_settings(home=home), [one], "0"), addresses))
    (config,) = load_settings(home=home).source_configs
    assert set(str(config.options["contracts"]).split(",")) == set(addresses)
