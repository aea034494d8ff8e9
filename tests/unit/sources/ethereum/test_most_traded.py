"""The most traded contracts are watched: decided by day, the same everywhere, and what was read stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from sources.configuration import config_of
from sources.contracts import SHARED_CONTRACTS
from sources.ethereum.rpc import Rpc
from sources.ethereum.settings import EthereumConfig
from sources.ethereum.source import EthereumSource
from sources.local_chain.logs import ALICE, BOB, ETH, NFT, moved, packed_sale
from tests.chain.scripted import ScriptedNode, serving

EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001
ONE, TWO, THREE = ("0x" + letter * 40 for letter in "345")
SHOP = next(c.address for c in SHARED_CONTRACTS if c.chain == "ethereum" and c.by == "name")
DAY = 7200
MIDNIGHT = 534
"""First block of 15 November 2023: blocks are 12 s apart."""


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    with serving(ScriptedNode()) as node:
        yield node


def sell(node: ScriptedNode, block: int, contract: str, token: int) -> None:
    node.add(
        block, [moved(ALICE, BOB, token, contract=contract), packed_sale(contract, token, ETH, ALICE, BOB)]
    )


def source(node: ScriptedNode, cache: Path, count: int = 2, *contracts: str) -> EthereumSource:
    return EthereumSource(Rpc([node.url]), contracts, start="0", cache=cache, most_traded=(count, 2))


def sales(one: EthereumSource) -> list[tuple[str, str]]:
    rows = [row for batch in one.read("sales", *EVER) for row in batch.rows.to_pylist()]
    return sorted((row["contract"], row["token_id"]) for row in rows)


def collections(one: EthereumSource) -> set[str]:
    return {row["collection"] for b in one.read("collections", *EVER) for row in b.rows.to_pylist()}


def test_the_first_contracts_of_the_last_days_are_watched_from_the_start_on(
    node: ScriptedNode, tmp_path: Path
) -> None:
    sell(node, 10, TWO, 1)  # before the days that are counted
    for token in range(3):
        sell(node, MIDNIGHT + token, ONE, token)
    for token in range(2):
        sell(node, MIDNIGHT + DAY + token, TWO, token)
        sell(node, MIDNIGHT + DAY + 10 + token, THREE, token)
    for token in range(9):
        sell(node, MIDNIGHT + 20 + token, SHOP, token)  # its collections cannot be told apart
        sell(node, MIDNIGHT + 2 * DAY + token, THREE, 100 + token)  # today: not over
    node.height = MIDNIGHT + 2 * DAY + 200
    one = source(node, tmp_path / "one")
    assert collections(one) == {ONE, TWO}
    assert sales(one) == [(ONE, "0"), (ONE, "1"), (ONE, "2"), (TWO, "0"), (TWO, "1"), (TWO, "1")]
    assert collections(source(node, tmp_path / "two")) == {ONE, TWO}
    assert collections(source(node, tmp_path / "three", 1, NFT)) == {ONE, NFT}
    node.asked.clear()
    assert sales(source(node, tmp_path / "one")) == sales(one)
    assert node.ranges() == [], "a day is counted once"


def test_a_contract_that_is_not_among_the_first_any_more_keeps_what_was_read(
    node: ScriptedNode, tmp_path: Path
) -> None:
    sell(node, MIDNIGHT, ONE, 1)
    node.height = MIDNIGHT + DAY + 200
    assert sales(source(node, tmp_path, 1)) == [(ONE, "1")]
    for token in range(3):
        sell(node, MIDNIGHT + DAY + 300 + token, TWO, token)
    both = [moved(ALICE, BOB, 8, contract=c) for c in (ONE, TWO)]
    sweep = [*both, packed_sale(ONE, 8, ETH, ALICE, BOB), packed_sale(TWO, 8, ETH, ALICE, BOB)]
    node.add(MIDNIGHT + 2 * DAY + 50, sweep)
    node.height = MIDNIGHT + 2 * DAY + 200
    later = source(node, tmp_path, 1)
    assert sales(later) == [(ONE, "1"), (TWO, "0"), (TWO, "1"), (TWO, "2"), (TWO, "8")]
    assert collections(later) == {ONE, TWO}
    for token in range(5):
        sell(node, MIDNIGHT + 2 * DAY + 300 + token, ONE, 20 + token)
    node.height = MIDNIGHT + 3 * DAY + 200
    again = sales(source(node, tmp_path, 1))
    assert [token for contract, token in again if contract == ONE] == ["1", "20", "21", "22", "23", "24", "8"]
    assert len(again) == 11, "what was missed while it was not watched is read"


def test_the_settings_need_contracts_or_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_RPC_URLS", "http://127.0.0.1:9")
    config = EthereumConfig(name="chain", start="0", most_traded=5)  # type: ignore[call-arg]
    assert config.watched == ()
    config.open(tmp_path)
    assert config.identity == {**config.identity, "start": "0", "chain": "ethereum"}
    assert "most_traded" not in config.identity
    with pytest.raises(ValidationError, match="contracts"):
        EthereumConfig(name="chain", start="0")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="found none"):
        EthereumConfig(name="chain", start="0", contracts="")
    assert config_of("ethereum", {"start": "0", "most_traded": 3}, name="chain").options["contracts"] == ""
