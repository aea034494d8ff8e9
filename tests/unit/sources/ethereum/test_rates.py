"""Rates from price feeds: of every phase, known from their block on, and never a number that is no price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sources.ethereum.decoders.chainlink import ANSWER_UPDATED, FEEDS
from sources.ethereum.rates import find_aggregators
from sources.ethereum.rpc import Rpc
from sources.ethereum.source import EthereumSource
from sources.ethereum.store import Store
from sources.local_chain.logs import NFT, log
from tests.chain.scripted import ScriptedNode, serving

EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001
OLD, NEW, DOLLARS = ("0x" + letter * 40 for letter in "789")
ETH, USDC = FEEDS["ethereum"]["ETH"], FEEDS["ethereum"]["USDC"]


@dataclass
class NodeWithFeeds(ScriptedNode):
    """A node whose proxies have `phases`: proxy → its aggregators."""

    phases: dict[str, list[str]] = field(default_factory=dict)

    def result(self, method: str, parameters: list[Any]) -> Any:
        if method != "eth_call":
            return super().result(method, parameters)
        aggregators = self.phases.get(parameters[0]["to"])
        data = parameters[0]["data"]
        if aggregators is None:
            return "0x"
        if data == "0x58303b10":
            return f"0x{len(aggregators):064x}"
        if data == "0x313ce567":
            return f"0x{8:064x}"
        return f"0x{int(aggregators[int(data[10:], 16) - 1], 16):064x}"


@pytest.fixture
def node() -> Iterator[NodeWithFeeds]:
    with serving(NodeWithFeeds()) as node:
        node.phases = {ETH: [OLD, NEW], USDC: [DOLLARS]}
        yield node


def answered(aggregator: str, answer: int, index: int = 1) -> Any:
    return log(aggregator, ANSWER_UPDATED, (answer, index), (1_700_000_000).to_bytes(32, "big"))


def source(node: ScriptedNode, cache: Path, head: str = "finalized") -> EthereumSource:
    feeds = FEEDS["ethereum"]
    return EthereumSource(Rpc([node.url]), [NFT], start="0", cache=cache, head=head, feeds=feeds)


def rates(one: EthereumSource) -> list[tuple[str, float, datetime]]:
    rows = [row for batch in one.read("exchange_rates", *EVER) for row in batch.rows.to_pylist()]
    assert {(row["quote"], row["granularity"]) for row in rows} <= {("USD", "update")}
    assert all(row["event_time"] == row["known_at"] for row in rows)
    return [(row["symbol"], row["rate"], row["known_at"]) for row in rows]


def at(block: int) -> datetime:
    return datetime(2023, 11, 14, 22, 13, 20) + timedelta(seconds=12 * block)  # noqa: DTZ001


def test_the_answers_of_all_phases_are_rates_from_their_block_on(node: NodeWithFeeds, tmp_path: Path) -> None:
    node.add(5, [answered(OLD, 2000_12345678)])
    node.add(7, [answered(NEW, 2100_00000000), answered(DOLLARS, 99_990_000)])
    node.add(8, [answered("0x" + "5" * 40, 1)])
    expected = [("ETH", 2000.12345678, at(5)), ("ETH", 2100.0, at(7)), ("USDC", 0.9999, at(7))]
    assert rates(source(node, tmp_path)) == expected
    assert rates(source(node, tmp_path)) == expected


def test_an_aggregator_of_a_new_phase_is_read_from_where_the_one_before_was(
    node: NodeWithFeeds, tmp_path: Path
) -> None:
    node.phases = {ETH: [OLD]}
    node.add(5, [answered(OLD, 2000_00000000)])
    assert len(rates(source(node, tmp_path))) == 1
    node.phases = {ETH: [OLD, NEW]}
    node.height += 100
    node.add(1000, [answered(NEW, 2100_00000000)])
    node.asked.clear()
    assert [rate for _, rate, _ in rates(source(node, tmp_path))] == [2000.0, 2100.0]
    assert min(first for first, _ in node.ranges()) > 900


def test_all_feeds_are_asked_for_their_aggregators_together(node: NodeWithFeeds, tmp_path: Path) -> None:
    rpc = Rpc([node.url])
    found = find_aggregators(rpc, Store(tmp_path / "chain.sqlite"), FEEDS["ethereum"])
    assert [(one.symbol, one.address) for one in found] == [("ETH", OLD), ("ETH", NEW), ("USDC", DOLLARS)]
    assert rpc.requests == 3


def test_what_is_no_price_is_in_quarantine(node: NodeWithFeeds, tmp_path: Path) -> None:
    short = log(NEW, ANSWER_UPDATED, (5, 1), b"\1")
    node.add(5, [answered(NEW, 0), answered(NEW, 2**256 - 5), short, answered(NEW, 2100_00000000)])
    batches = list(source(node, tmp_path).read("exchange_rates", *EVER))
    assert [row["rate"] for b in batches for row in b.rows.to_pylist()] == [2100.0]
    found = [(row["reason"], row["found"]) for b in batches for row in b.rejected.to_pylist()]
    assert [reason for reason, _ in found] == ["undecodable_log"] * 3
    assert "found -5" in found[1][1]


def test_rates_of_blocks_that_are_not_final_wait(node: NodeWithFeeds, tmp_path: Path) -> None:
    node.add(990, [answered(NEW, 2100_00000000)])
    assert rates(source(node, tmp_path, "latest")) == []
    node.height += 100
    assert rates(source(node, tmp_path, "latest")) == [("ETH", 2100.0, at(990))]


def test_a_chain_without_these_feeds_has_no_rates(node: NodeWithFeeds, tmp_path: Path) -> None:
    node.phases = {}
    assert rates(source(node, tmp_path)) == []
