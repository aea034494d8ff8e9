"""The file that lists the sources, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources.configuration import (
    KINDS,
    FilesConfig,
    SimulatedConfig,
    SourceConfig,
    SourceSettingError,
    SourcesFileError,
    config_of,
    read_sources,
    sources_as_yaml,
)
from sources.contracts import SHARED_CONTRACTS
from sources.protocol import Source

GOOD = """
sources:
  - {name: exports, kind: files, data_dir: exports, priority: 2, fresh_within_h: 48, quarantine_limit: 0.02}
  - {name: market, kind: simulator, collections: 4, days: 30}
"""


def test_a_list_is_read_with_folders_relative_to_it_and_written_back(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(GOOD)
    exports, market = read_sources(file)
    assert isinstance(exports, FilesConfig)
    assert exports.data_dir == tmp_path.resolve() / "exports"
    assert (exports.priority, exports.fresh_within_h, exports.quarantine_limit) == (2, 48, 0.02)
    assert isinstance(market, SimulatedConfig)
    assert market.identity == {"collections": 4, "seed": 7, "faults": ""}
    (tmp_path / "again.yaml").write_text(sources_as_yaml([exports, market]))
    assert read_sources(tmp_path / "again.yaml") == (exports, market)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "`sources:` with a list"),
        ("sources: []", "`sources:` with a list"),
        ("- {name: a, kind: files}", "`sources:` with a list"),
        ("sources: {a: files}", "`sources:` with a list"),
        ("sources: [files]", "source 1"),
        ("sources: [{kind: files, data_dir: x}]", "source 1, name"),
        ("sources: [{name: a, kind: files}]", "source 1, data_dir"),
        ("sources: [{name: a, kind: excel}]", "'simulator', 'files', 'ethereum'"),
        ("sources: [{name: a, kind: files, data_dir: x, prioritty: 2}]", "prioritty"),
        ("sources: [{name: a, kind: files, data_dir: x, priority: 0}]", "priority"),
        ("sources: [{name: 'A b', kind: files, data_dir: x}]", "name"),
        ("sources: [{name: a, kind: simulator, faults: quake@3}]", "quake"),
        ("sources: [{name: a, kind: simulator}, {name: a, kind: simulator, seed: 2}]", "'a' twice"),
        ("sources: [", "YAML"),
    ],
)
def test_a_wrong_list_names_the_entry_and_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(text)
    with pytest.raises(SourcesFileError) as error:
        read_sources(file)
    assert str(file) in str(error.value)
    assert expected in str(error.value)


def test_every_kind_opens_a_source_of_its_kind_and_the_base_class_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sales.csv").write_text("collection,token_id,timestamp,price\na,1,2025-01-01,1\n")
    given = {"data_dir": tmp_path, "collections": 3, "days": 2, "seed": 1}
    given |= {"contracts": "0x" + "a" * 40, "start": "2024-01-31"}
    given |= {"slugs": "ghosts", "pairs": "ETH=ETH-USD", "url": "https://api.example", "path": "/orders"}
    roles = ("order_id", "collection", "event_time", "side", "price", "currency")
    given |= {"mapping": {role: role for role in roles}}
    monkeypatch.setenv("ASSAY_RPC_URLS", "https://node.example/key")
    monkeypatch.setenv("OPENSEA_API_KEY", "key")
    for kind in KINDS:
        config = config_of(kind, given, name="one")
        assert hash(config) == hash(
            config_of(kind, given, name="one")
        )  # sources are opened once for a configuration
        source = config.open(tmp_path / "cache")
        assert (source.name, isinstance(source, Source)) == (kind, True)
    with pytest.raises(SourceSettingError, match=r"'simulator' or 'files' or .*'candles', found 'oracle'"):
        config_of("oracle", given, name="one")
    with pytest.raises(TypeError, match="abstract"):
        SourceConfig(kind="files", name="one")  # type: ignore[abstract]


def test_every_kind_has_a_home_and_a_default_name() -> None:
    assert {name: kind.home for name, kind in KINDS.items()} == {
        "simulator": ".assay",
        "files": ".assay-files",
        "ethereum": ".assay-ethereum",
        "opensea": ".assay-opensea",
        "listings_api": ".assay-listings",
        "coingecko": ".assay-rates",
        "candles": ".assay-rates",
    }
    only = config_of("files", {"data_dir": Path("/x"), "seed": 3, "faults": None}, name="files")
    assert (only.name, only.identity) == ("files", {"data_dir": "/x"})


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("contracts", "punks", "addresses of contracts"),
        ("contracts", " , ", "addresses of contracts"),
        ("start", "soon", "a day such as"),
        ("chain", "solana", "expected one of ethereum"),
        ("urls_from", "https://node.example/key", "pattern"),
    ],
)
def test_a_chain_needs_possible_settings(setting: str, value: str, expected: str) -> None:
    given = {"contracts": "0x" + "A" * 40, "start": "2024-01-31"}
    good = config_of("ethereum", given, name="chain")
    assert good.options["contracts"] == "0x" + "a" * 40
    with pytest.raises(SourceSettingError, match=expected) as error:
        config_of("ethereum", given | {setting: value}, name="chain")
    assert error.value.setting == setting


def test_a_contract_whose_collections_differ_by_name_only_cannot_be_watched() -> None:
    known = next(c.address for c in SHARED_CONTRACTS if c.label == "opensea-shared" and c.chain == "ethereum")
    with pytest.raises(SourceSettingError, match="only their names tell apart"):
        config_of("ethereum", {"contracts": known, "start": "0"}, name="chain")


KINDS_WITH_CHAIN: dict[str, dict[str, object]] = {
    "files": {"data_dir": "/data"},
    "ethereum": {"contracts": "0x" + "1" * 40, "start": "2024-01-01"},
    "opensea": {"slugs": "apes", "start": "2024-01-01"},
}


@pytest.mark.parametrize(("kind", "given"), KINDS_WITH_CHAIN.items())
def test_a_chain_is_known_by_any_spelling_and_a_typing_error_is_none(
    kind: str, given: dict[str, object]
) -> None:
    found = config_of(kind, given | {"chain": "Polygon POS"}, name="one")
    assert found.options["chain"] == "polygon"
    with pytest.raises(
        SourceSettingError, match="expected the name of a chain, such as ethereum, found 'etherum'"
    ):
        config_of(kind, given | {"chain": "etherum"}, name="one")
