"""Real logs of two blocks of Ethereum mainnet give the trades that took place in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.real_data import BUNDLE
from sources.ethereum.bloom import bloom_of
from sources.ethereum.decoders import seaport
from sources.ethereum.decoders.transactions import decode
from sources.ethereum.log import Log, log_from_json
from tests.chain.node import Node, running_node

pytestmark = pytest.mark.golden
FIXTURES = Path(BUNDLE).parent / "fixtures"


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    path = FIXTURES / "eth_getLogs_nft_17173049_17173050.json"
    if not path.exists():
        pytest.skip("real logs are not here: set ASSAY_TEST_DATA to the folder that holds fixtures/")
    return [log_from_json(entry) for entry in json.loads(path.read_text())["result"]]


def _by_transaction(logs: list[Log]) -> Iterator[list[Log]]:
    for tx_hash in dict.fromkeys(log.tx_hash for log in logs):
        yield [log for log in logs if log.tx_hash == tx_hash]


def test_an_order_of_seaport_is_decoded_as_others_decode_it(logs: list[Log]) -> None:
    expected: dict[str, Any] = json.loads((FIXTURES / "expected_decode_seaport14.json").read_text())
    (log,) = [log for log in logs if log.event == seaport.ORDER_FULFILLED]
    order = seaport.read_order(log)
    assert (log.tx_hash, log.address, order.offerer, log.topic_address(2)) == (
        expected["tx"],
        expected["contract"],
        expected["offerer"],
        expected["zone"],
    )
    assert (order.recipient, "0x" + order.order_hash.hex()) == (expected["recipient"], expected["orderHash"])
    assert [list(item) for item in order.offer] == expected["offer"]
    assert [list(item) for item in order.consideration] == expected["consideration"]


def test_the_two_sales_of_these_blocks_are_found(logs: list[Log]) -> None:
    found = [t for some in _by_transaction(logs) for t in decode(some, {}).trades]
    assert sorted((t.marketplace, t.price, t.token_id, t.side) for t in found) == [
        ("blur", 16300000000000000000, 1527, "bid_accepted"),
        ("seaport", 370000000000000000, 733, "listing_filled"),
    ]


def test_the_blooms_of_real_blocks_are_those_of_their_logs(logs: list[Log]) -> None:
    """The proof that an answer is complete stands on this; the shorter list of logs must not pass."""
    headers = _lines("expected_blocks")
    every = _lines("expected_logs")
    for header in headers:
        mine = [_of_export(entry) for entry in every if entry["block_number"] == header["number"]]
        assert len(mine) > 100
        assert bloom_of(mine) == int(header["logs_bloom"], 16)
        assert bloom_of(mine[: len(mine) // 2]) != int(header["logs_bloom"], 16)


def test_a_node_that_emits_these_logs_gives_the_same_trades(logs: list[Log]) -> None:
    with running_node() as node:
        for some in _by_transaction(logs):
            emitted = _emitted(node, some)
            assert [(g.address, g.topics, g.data) for g in emitted] == [
                (g.address, g.topics, g.data) for g in some
            ]
            assert _facts(emitted) == _facts(some)


def _emitted(node: Node, logs: list[Log]) -> list[Log]:
    return [log_from_json(entry) for entry in node.emit(logs)["logs"]]


def _facts(logs: list[Log]) -> list[tuple[Any, ...]]:
    return [(t.contract, t.token_id, t.price, t.seller, t.buyer) for t in decode(logs, {}).trades]


def _lines(name: str) -> list[dict[str, Any]]:
    path = FIXTURES / f"ethereum_etl_blocks_17173049_17173050_{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def _of_export(entry: dict[str, Any]) -> Log:
    return Log(entry["address"].lower(), tuple(entry["topics"]), b"", 0, "", "", 0, entry["log_index"])
