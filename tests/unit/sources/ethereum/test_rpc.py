"""Nodes that refuse, throttle, fail or are not there: what is asked again, of whom, and what is said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sources.ethereum.rpc import AnswerError, NodeUnavailableError, Rpc
from sources.protocol import SourceError
from tests.chain.scripted import ScriptedNode, serving

SECRET = "secretkey0123456789"


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    with serving(ScriptedNode()) as node:
        yield node


def times(count: int, *answer: Any) -> Any:
    """A fault that happens `count` times."""
    left = [count]

    def fault(_method: str, _parameters: list[Any]) -> Any:
        left[0] -= 1
        return answer if left[0] >= 0 else None

    return fault


def test_a_throttled_request_waits_as_long_as_the_server_asks(node: ScriptedNode) -> None:
    node.fault = times(2, 429, {"retry-after": "7"}, b"slow down")
    waits: list[float] = []
    # The clock does not move with this `sleep`, so a second attempt asks for the rest of the wait.
    assert Rpc([node.url], sleep=waits.append).call("eth_blockNumber") == hex(1000)
    assert [round(wait) for wait in waits] == [7, 7]


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32005, "message": "daily request count exceeded, request rate limited"},
        {"code": 429, "message": "Your app has exceeded its compute units per second capacity"},
    ],
)
def test_a_limit_of_rate_inside_the_answer_is_asked_again(node: ScriptedNode, error: dict[str, Any]) -> None:
    node.fault = times(1, 200, {}, {"error": error})
    assert Rpc([node.url], sleep=lambda _: None).call("eth_blockNumber") == hex(1000)


def test_the_next_endpoint_answers_when_the_first_does_not() -> None:
    with serving(ScriptedNode(fault=lambda *_: (503, {}, b"down"))) as bad, serving(ScriptedNode()) as good:
        rpc = Rpc([bad.url, good.url], sleep=lambda _: None)
        answer = rpc.ask("eth_blockNumber")
        assert answer.endpoint == rpc.names[1]
        assert len(bad.asked) == 1


def test_a_wrong_key_is_not_tried_again() -> None:
    with serving(ScriptedNode(fault=lambda *_: (401, {}, b"no"))) as bad, serving(ScriptedNode()) as good:
        rpc = Rpc([bad.url, good.url], sleep=lambda _: None)
        for _ in range(3):
            rpc.call("eth_blockNumber")
        assert len(bad.asked) == 1


def test_no_endpoint_is_one_error_that_names_each_without_its_key(
    node: ScriptedNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    node.fault = lambda *_: (500, {}, b"broken")
    absent = f"http://127.0.0.1:9/{SECRET}"
    with pytest.raises(NodeUnavailableError) as error:
        Rpc([node.url, absent], sleep=lambda _: None).call("eth_blockNumber")
    assert "HTTP 500" in str(error.value)
    assert "ConnectError" in str(error.value)
    assert SECRET not in str(error.value) + caplog.text


def test_a_question_that_is_refused_is_not_asked_again(node: ScriptedNode) -> None:
    node.fault = lambda *_: (200, {}, {"error": {"code": -32602, "message": "invalid params"}})
    with pytest.raises(AnswerError, match="invalid params"):
        Rpc([node.url], sleep=lambda _: None).call("eth_blockNumber")
    assert len(node.asked) == 1


@pytest.mark.parametrize("batches", [True, False])
def test_many_questions_have_answers_in_their_order(node: ScriptedNode, batches: bool) -> None:
    node.batches = batches
    rpc = Rpc([node.url], sleep=lambda _: None)
    found = rpc.batch("eth_getBlockByNumber", [[hex(n), False] for n in range(120)])
    assert [int(block["number"], 16) for block in found] == list(range(120))


@pytest.mark.parametrize("document", [b"<html>", {"id": 1}, [1, 2], 7])
def test_an_answer_that_is_none_is_an_error(node: ScriptedNode, document: Any) -> None:
    node.fault = lambda *_: (200, {}, document)
    with pytest.raises(SourceError):
        Rpc([node.url], sleep=lambda _: None).call("eth_blockNumber")


def test_requests_keep_a_distance(node: ScriptedNode) -> None:
    waits: list[float] = []
    rpc = Rpc([node.url], requests_per_second=0.001, sleep=waits.append)
    rpc.call("eth_blockNumber")
    rpc.call("eth_blockNumber")
    assert len(waits) == 1
    assert 900 < waits[0] <= 1000


@pytest.mark.parametrize("urls", [[], ["ftp://node"], ["http://[::1"]])
def test_an_address_that_is_none_is_refused(urls: list[str]) -> None:
    with pytest.raises(SourceError, match="expected"):
        Rpc(urls)
