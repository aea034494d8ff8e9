"""From tokens that moved to rows of traits: who is asked, when again, and what a reveal leaves behind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode

from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.movements import TRANSFER_SINGLE
from sources.ethereum.decoders.updates import BATCH_METADATA_UPDATE, METADATA_UPDATE
from sources.ethereum.metadata.locations import Gateways
from sources.ethereum.metadata.reading import _PUNKS_DATA, MetadataOptions
from sources.ethereum.rpc import Rpc
from sources.ethereum.source import EthereumSource
from sources.local_chain.logs import ALICE, BOB, CARDS, NFT, NOWHERE, log, moved, punk
from tests.chain.pages import Pages, serving_pages
from tests.chain.scripted import ScriptedNode, serving

EVER = (datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001
NOW = datetime(2023, 12, 1)  # noqa: DTZ001
_NAMES = {"c87b56dd": "erc721", "0e89341c": "erc1155", "76dfe297": "punks"}


@dataclass
class NodeWithTokens(ScriptedNode):
    """A node whose contracts answer `answers`: (contract, token) → address; None: the call is refused."""

    answers: dict[tuple[str, int], Any] = field(default_factory=dict)
    calls: list[tuple[str, str, int, str]] = field(default_factory=list)

    def result(self, method: str, parameters: list[Any]) -> Any:
        if method != "eth_call" or parameters[0]["data"][2:10] not in _NAMES:
            return super().result(method, parameters)
        call, block = parameters
        kind, token = _NAMES[call["data"][2:10]], int(call["data"][10:], 16)
        self.calls.append((kind, call["to"], token, block))
        given = self.answers.get((call["to"], token))
        if given is None:
            return "0x"
        return "0x" + (given if isinstance(given, bytes) else encode(["string"], [given])).hex()


@pytest.fixture
def node() -> Iterator[NodeWithTokens]:
    with serving(NodeWithTokens()) as node:
        yield node


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serving_pages() as pages:
        yield pages


def source(
    node: ScriptedNode, cache: Path, *contracts: str, hours: float = 0, host: str = ""
) -> EthereumSource:
    options = MetadataOptions(Gateways((f"http://{host}",)), (host,), timeout_s=2)
    return EthereumSource(
        Rpc([node.url], sleep=lambda _: None, attempts=1),
        contracts or (NFT,),
        start="0",
        cache=cache,
        metadata=options,
        now=lambda: NOW + timedelta(hours=hours),
    )


def inline(**traits: Any) -> str:
    attributes = [{"trait_type": k, "value": v} for k, v in traits.items()]
    document = json.dumps({"name": "x", "attributes": attributes})
    return "data:application/json;base64," + base64.b64encode(document.encode()).decode()


def traits(one: EthereumSource) -> list[tuple[str, str, str | None, datetime]]:
    return [
        (row["token_id"], row["trait_type"], row["trait_value"], row["known_at"])
        for batch in one.read("token_traits", *EVER)
        for row in batch.rows.to_pylist()
    ]


def refused(one: EthereumSource) -> list[tuple[str, str]]:
    return [
        (row["reason"], row["found"])
        for batch in one.read("token_traits", *EVER)
        for row in batch.rejected.to_pylist()
    ]


def at(block: int) -> datetime:
    return datetime(2023, 11, 14, 22, 13, 20) + timedelta(seconds=12 * block)  # noqa: DTZ001


def test_each_kind_of_token_is_asked_in_its_way_once(
    node: NodeWithTokens, pages: Pages, tmp_path: Path
) -> None:
    node.add(10, [moved(NOWHERE, ALICE, 1), moved(NOWHERE, ALICE, 2)])
    node.add(11, [moved(ALICE, BOB, 1)])
    card = log(CARDS, TRANSFER_SINGLE, (ALICE, NOWHERE, BOB), encode(["uint256", "uint256"], [7, 3]))
    node.add(12, [card, punk(cryptopunks.ASSIGN, (ALICE,), 5)])
    node.answers = {
        (NFT, 1): inline(Hat="Blue"),
        (NFT, 2): "ipfs://QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG/2",
        (CARDS, 7): f"http://{pages.host}/cards/{{id}}.json",
        (_PUNKS_DATA, 5): "Female 2, Earring, Blonde Bob",
    }
    pages.put("/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG/2", '{"attributes": {"Hat": "Red"}}')
    pages.put(f"/cards/{7:064x}.json", '{"properties": {"Power": 9}}')
    one = source(node, tmp_path, NFT, CARDS, cryptopunks.ADDRESS, host=pages.host)
    expected = [
        ("1", "Hat", "Blue", at(10)),
        ("2", "Hat", "Red", at(10)),
        ("7", "Power", "9", at(12)),
        ("5", "Accessory", "Blonde Bob", at(12)),
        ("5", "Accessory", "Earring", at(12)),
        ("5", "Type", "Female 2", at(12)),
    ]
    assert traits(one) == expected
    assert sorted(node.calls) == [
        ("erc1155", CARDS, 7, hex(936)),
        ("erc721", NFT, 1, hex(936)),
        ("erc721", NFT, 2, hex(936)),
        ("punks", _PUNKS_DATA, 5, hex(936)),
    ]
    assert sum(m == "eth_call" for m, _ in node.asked) > 0
    asked = len(node.calls)
    again = source(node, tmp_path, NFT, CARDS, cryptopunks.ADDRESS, host=pages.host)
    assert traits(again) == expected
    assert len(node.calls) == asked


def test_a_reveal_is_a_new_fact_and_what_was_known_stays(node: NodeWithTokens, tmp_path: Path) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in range(1, 31)])
    node.answers = {(NFT, n): inline(Status="Unrevealed") for n in range(1, 31)}
    hidden = [(str(n), "Status", "Unrevealed", at(10)) for n in range(1, 31)]
    assert sorted(traits(source(node, tmp_path))) == sorted(hidden)
    node.height += 100
    assert sorted(traits(source(node, tmp_path, hours=1))) == sorted(hidden)
    assert len(node.calls) == 30, "asked again before it is time"
    node.height += 100
    assert sorted(traits(source(node, tmp_path, hours=7))) == sorted(hidden)
    assert len(node.calls) == 40, "of tokens that are all the same some are asked again"
    node.answers = {(NFT, n): inline(Hat="Blue" if n % 2 else "Red") for n in range(1, 31)}
    node.height += 100
    head = at(node.height - 64)
    traits(source(node, tmp_path, hours=14))
    node.height += 1  # the rows of the head wait for the next one
    found = traits(source(node, tmp_path, hours=15))
    assert [row for row in found if row[3] == at(10)] == [
        (str(n), "Status", "Unrevealed", at(10)) for n in range(1, 31)
    ]
    revealed = [row for row in found if row[3] == head]
    assert sorted(revealed) == sorted(
        [(str(n), "Hat", "Blue" if n % 2 else "Red", head) for n in range(1, 31)]
        + [(str(n), "Status", None, head) for n in range(1, 31)]
    )
    assert len(found) == 90


def test_a_change_is_known_from_its_event_on(node: NodeWithTokens, tmp_path: Path) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in (1, 2, 3)])
    node.answers = {(NFT, n): inline(Level=str(n)) for n in (1, 2, 3)}
    traits(source(node, tmp_path))
    node.add(950, [log(NFT, METADATA_UPDATE, (), encode(["uint256"], [2]))])
    node.add(951, [log(NFT, BATCH_METADATA_UPDATE, (), encode(["uint256", "uint256"], [3, 2**256 - 1]))])
    node.add(952, [log(NFT, METADATA_UPDATE, (), b"short")])
    node.answers = {(NFT, n): inline(Level=str(10 * n)) for n in (1, 2, 3)}
    node.height += 100
    found = traits(source(node, tmp_path))
    assert sorted(found) == [
        ("1", "Level", "1", at(10)),
        ("2", "Level", "2", at(10)),
        ("2", "Level", "20", at(950)),
        ("3", "Level", "3", at(10)),
        ("3", "Level", "30", at(951)),
    ]
    assert [token for _, _, token, _ in node.calls] == [1, 2, 3, 2, 3]


def test_a_first_reading_after_an_event_is_not_known_before_it(node: NodeWithTokens, tmp_path: Path) -> None:
    node.add(10, [moved(NOWHERE, ALICE, 1)])
    node.add(20, [log(NFT, METADATA_UPDATE, (1,))])
    node.answers = {(NFT, 1): inline(Hat="Blue")}
    assert traits(source(node, tmp_path)) == [("1", "Hat", "Blue", at(20))]


def test_what_cannot_be_used_is_in_quarantine_until_it_can(
    node: NodeWithTokens, pages: Pages, tmp_path: Path
) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in range(1, 10)])
    node.answers = {
        (NFT, 1): "http://10.0.0.7/secret",
        (NFT, 2): "tokenURI",
        (NFT, 3): "data:application/json,<html>",
        (NFT, 4): b"\xff" * 7,
        (NFT, 5): encode(["bytes"], [b"\xff\xfe"]),
        (NFT, 6): inline(Hat="a\0b"),
        (NFT, 7): "",
        (NFT, 9): inline(Hat="Blue"),
    }  # the eighth has no answer
    one = source(node, tmp_path, host=pages.host)
    assert [row[:3] for row in traits(one)] == [("9", "Hat", "Blue")]
    found = refused(one)
    assert {reason for reason, _ in found} == {"unreadable_metadata", "nul_character"}
    assert len(found) == 6
    assert sum("secret" in text for _, text in found) == 0
    node.answers[(NFT, 3)] = inline(Hat="Red")
    node.answers[(NFT, 2)] = inline(Hat="Green")
    node.add(940, [log(NFT, METADATA_UPDATE, (3,))])
    node.height += 10
    again = source(node, tmp_path, host=pages.host)
    assert ("3", "Hat", "Red", at(940)) in traits(again)
    node.height += 10
    traits(source(node, tmp_path, hours=24 * 7 + 1, host=pages.host))
    node.height += 10
    assert ("2", "Hat", "Green") in [row[:3] for row in traits(source(node, tmp_path, host=pages.host))]


def test_a_server_that_does_not_answer_is_asked_again_later(
    node: NodeWithTokens, pages: Pages, tmp_path: Path
) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in (1, 2)])
    node.answers = {(NFT, n): f"http://{pages.host}/{n}" for n in (1, 2)}
    pages.put("/1", "", 503)
    pages.put("/2", '{"attributes": {"Hat": "Red"}}')
    one = source(node, tmp_path, host=pages.host)
    assert [row[0] for row in traits(one)] == ["2"]
    assert refused(one) == []
    assert any("1 tokens wait for their traits" in line and "503" in line for line in one.left_out())
    pages.put("/1", '{"attributes": {"Hat": "Blue"}}')
    assert [row[0] for row in traits(source(node, tmp_path, hours=0.5, host=pages.host))] == ["2"]
    last = source(node, tmp_path, hours=1.1, host=pages.host)
    assert traits(last) == [("1", "Hat", "Blue", at(10)), ("2", "Hat", "Red", at(10))]
    assert not any("wait for their traits" in line for line in last.left_out())


def test_a_node_without_old_state_is_asked_as_of_the_newest_block(
    node: NodeWithTokens, tmp_path: Path
) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in (1, 2)])
    node.answers = {(NFT, n): inline(Hat="Blue") for n in (1, 2)}
    node.fault = lambda method, parameters: (
        (200, {}, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "missing trie node"}})
        if method == "eth_call" and parameters[1] != "latest"
        else None
    )
    assert len(traits(source(node, tmp_path))) == 2


def test_a_run_that_ends_in_the_middle_goes_on_with_the_other_tokens(
    node: NodeWithTokens, tmp_path: Path
) -> None:
    node.add(10, [moved(NOWHERE, ALICE, n) for n in range(500)])
    node.answers = {(NFT, n): inline(Number=n) for n in range(500)}
    node.fault = lambda method, _: (503, {}, b"") if method == "eth_call" and len(node.calls) >= 300 else None
    with pytest.raises(Exception, match="What was read is kept"):
        traits(source(node, tmp_path))
    node.fault = lambda _method, _parameters: None
    before = len(node.calls)
    assert len(traits(source(node, tmp_path))) == 500
    assert len(node.calls) - before == 300


def test_without_the_option_no_token_is_asked(node: NodeWithTokens, tmp_path: Path) -> None:
    node.add(10, [moved(NOWHERE, ALICE, 1)])
    one = EthereumSource(Rpc([node.url]), [NFT], start="0", cache=tmp_path, now=lambda: NOW)
    assert traits(one) == []
    assert node.calls == []
