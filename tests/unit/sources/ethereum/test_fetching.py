"""Logs of ranges: split as each provider wants, and never fewer than the chain has."""

from __future__ import annotations

from typing import Any

import pytest

from sources.ethereum.chain import Chain
from sources.ethereum.decoders.movements import EVENTS
from sources.ethereum.fetching import Fetcher, IncompleteError, LogFilter, Spans
from sources.ethereum.reading import Reader
from sources.ethereum.rpc import AnswerError, Rpc
from sources.ethereum.store import Store
from sources.local_chain.logs import ALICE, BOB, CARDS, NFT, moved
from tests.chain.scripted import ScriptedNode, serving

WANTED = LogFilter((NFT,), EVENTS)


def chain_of_moves() -> ScriptedNode:
    """A movement in every tenth block up to 1,000, and one of another contract in each block."""
    node = ScriptedNode()
    for number in range(1, 1001):
        logs = [moved(ALICE, BOB, number)] if number % 10 == 0 else []
        node.add(number, [*logs, moved(ALICE, BOB, number, contract=CARDS)])
    return node


def fetcher(*nodes: ScriptedNode, spans: Spans | None = None) -> Fetcher:
    rpc = Rpc([node.url for node in nodes], sleep=lambda _: None, attempts=2)
    return Fetcher(Chain(rpc, 64), spans or Spans())


def limit(blocks: int, text: str) -> Any:
    def fault(method: str, parameters: list[Any]) -> Any:
        if method != "eth_getLogs" or "fromBlock" not in parameters[0]:
            return None
        first, last = (int(parameters[0][k], 16) for k in ("fromBlock", "toBlock"))
        message = text.format(first=hex(first), last=hex(first + blocks - 1), blocks=blocks)
        error = {"error": {"code": -32005, "message": message}}
        return (200, {}, error) if last - first + 1 > blocks else None

    return fault


@pytest.mark.parametrize(
    "text",
    [
        "query returned more than 10000 results",
        "Log response size exceeded. this block range should work: [{first}, {last}]",
        "You can make eth_getLogs requests with up to a {blocks} block range",
        "eth_getLogs is limited to a {blocks} blocks range",
        "query timeout exceeded",
        "response is too big",
    ],
)
def test_a_range_is_split_until_the_provider_answers(text: str) -> None:
    with serving(chain_of_moves()) as node:
        node.fault = limit(37, text)
        one = fetcher(node)
        logs, _ = one.logs(WANTED, 1, 1000)
        assert [log.block_number for log in logs] == list(range(10, 1001, 10))
        refused = len([r for r in node.ranges() if r[1] - r[0] + 1 > 37])
        # What worked is remembered: the same range again costs no more than a few refusals.
        node.asked.clear()
        fetcher(node, spans=one.spans).logs(WANTED, 1, 1000)
        assert len([r for r in node.ranges() if r[1] - r[0] + 1 > 37]) <= max(refused, 6)
        if "{" in text:
            assert refused == 1
            assert one.spans.of(next(iter(one.spans.most))) == 37


def test_a_single_block_that_is_refused_is_asked_of_another_node_and_then_an_error() -> None:
    with serving(chain_of_moves()) as bad, serving(chain_of_moves()) as good:
        bad.fault = limit(0, "too many results")
        logs, _ = fetcher(bad, good).logs(WANTED, 10, 10)
        assert len(logs) == 1
        with pytest.raises(AnswerError, match="too many results"):
            fetcher(bad).logs(WANTED, 10, 10)


def read_all(tmp_path: Any, *nodes: ScriptedNode, last: int = 900, parallel: int = 1) -> list[int]:
    one = fetcher(*nodes)
    store = Store(tmp_path / "chain.sqlite")
    Reader(one._chain, store, one, parallel=parallel).read([NFT], 1, last)
    return [log.block_number for _, logs in store.transactions(0, 2**40) for log in logs]


EXPECTED = list(range(10, 901, 10))


@pytest.mark.parametrize("hidden", [lambda n: n < 500, lambda n: n > 500])
def test_a_pruned_or_lagging_node_is_an_error_never_an_empty_answer(tmp_path: Any, hidden: Any) -> None:
    with serving(chain_of_moves()) as node:
        node.hidden = hidden
        with pytest.raises(IncompleteError, match="Nothing is taken for empty"):
            read_all(tmp_path, node)
        assert Store(tmp_path / "chain.sqlite").counts() == (0, 0)


@pytest.mark.parametrize("hidden", [lambda n: n < 500, lambda n: n > 500])
def test_another_node_gives_what_a_pruned_one_lacks(tmp_path: Any, hidden: Any) -> None:
    with serving(chain_of_moves()) as pruned, serving(chain_of_moves()) as whole:
        pruned.hidden = hidden
        assert read_all(tmp_path, pruned, whole) == EXPECTED


def test_a_node_without_the_newest_blocks_is_not_believed(tmp_path: Any) -> None:
    with serving(chain_of_moves()) as lagging, serving(chain_of_moves()) as whole:
        lagging.height = 700
        assert read_all(tmp_path, lagging, whole) == EXPECTED


def test_a_gap_in_a_block_whose_bloom_proves_logs_is_filled_by_another_node() -> None:
    with serving(chain_of_moves()) as gap, serving(chain_of_moves()) as whole:
        gap.hidden = lambda n: n == 50
        one = fetcher(gap, whole)
        block = one._chain.block(50)
        logs, _ = one.logs(WANTED, 50, 50)
        assert logs == []
        assert [log.block_number for log in one.completed(WANTED, logs, [block])] == [50]
        alone = fetcher(gap)
        with pytest.raises(IncompleteError, match="block 50"):
            alone.completed(WANTED, [], [alone._chain.block(50)])


def test_a_block_that_only_seems_to_hold_logs_is_proven_to_hold_none() -> None:
    """Its bloom has the address and the event, from two different logs."""
    with serving(ScriptedNode()) as node:
        other = moved(ALICE, BOB, 1, contract=CARDS)
        node.add(5, [other, moved(NFT, NFT, 2, contract=CARDS)])
        one = fetcher(node)
        wanted = LogFilter((CARDS,), (f"0x{int(NFT, 16):064x}",))
        assert one.completed(wanted, [], [one._chain.block(5)]) == []
        assert any("blockHash" in p[0] for m, p in node.asked if m == "eth_getLogs")


def test_an_answer_with_logs_that_were_not_asked_for_is_refused() -> None:
    with serving(chain_of_moves()) as node:
        real = node.result

        def of_another_contract(method: str, parameters: list[Any]) -> Any:
            if method == "eth_getLogs":
                parameters = [{**parameters[0], "address": [CARDS]}]
            return real(method, parameters)

        node.result = of_another_contract  # type: ignore[method-assign]
        with pytest.raises(IncompleteError, match="asked for"):
            fetcher(node).logs(WANTED, 1, 20)


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_reader_that_is_interrupted_goes_on_where_it_was(tmp_path: Any, parallel: int) -> None:
    with serving(chain_of_moves()) as node:
        seen: list[int] = []

        def down_after_a_while(method: str, parameters: list[Any]) -> Any:
            if method == "eth_getLogs" and "fromBlock" in parameters[0]:
                seen.append(int(parameters[0]["fromBlock"], 16))
            return (
                (503, {}, b"down") if len(seen) > 12 else limit(500, "up to 500 blocks")(method, parameters)
            )

        node.fault = down_after_a_while
        with pytest.raises(Exception, match="expected an answer of a node"):
            read_all(tmp_path, node, parallel=parallel)
        node.fault = limit(500, "up to 500 blocks")
        kept = Store(tmp_path / "chain.sqlite").read_until([NFT]).get(NFT, 0)
        node.asked.clear()
        assert read_all(tmp_path, node, parallel=parallel) == EXPECTED
        assert min(first for first, _ in node.ranges()) == kept + 1 or kept == 0
        node.asked.clear()
        assert read_all(tmp_path, node, parallel=parallel) == EXPECTED
        assert node.ranges() == []


def test_a_contract_that_is_watched_later_is_read_from_the_start(tmp_path: Any) -> None:
    with serving(chain_of_moves()) as node:
        one = fetcher(node)
        store = Store(tmp_path / "chain.sqlite")
        reader = Reader(one._chain, store, one)
        reader.read([NFT], 1, 500)
        reader.read([NFT, CARDS], 1, 600)
        held = [log for _, logs in store.transactions(0, 2**40) for log in logs]
        assert len([g for g in held if g.address == NFT]) == 60
        assert len([g for g in held if g.address == CARDS]) == 600
