"""A small HTTP server that answers JSON-RPC for a chain in memory, with the faults of real providers.

Used where a real node cannot be made to fail: limits of ranges and rates, pruned, lagging and silent nodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sources.ethereum.bloom import bloom_of
from sources.ethereum.log import Log
from tests.http_server import Reply, Request, serving_http

Fault = Callable[[str, list[Any]], tuple[int, dict[str, str], Any] | None]
"""(method, parameters) → HTTP state, headers and document to answer with; None: answer properly."""


@dataclass
class ScriptedNode:
    """The chain: `logs` by block; blocks are 12 s apart.

    Attributes:
        logs: Height → its logs.
        height: Newest block.
        hidden: Heights whose logs the node does not tell (its index has a gap, or they are pruned).
        fault: What goes wrong.
        batches: Whether several questions in one request are answered.
        asked: (method, parameters) of all questions.
    """

    logs: dict[int, list[Log]] = field(default_factory=dict)
    height: int = 1000
    hidden: Callable[[int], bool] = lambda _: False
    fault: Fault = lambda _method, _parameters: None
    batches: bool = True
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    url: str = ""

    def add(self, number: int, logs: Sequence[Log]) -> None:
        """Put logs into a block."""
        some = self.logs.setdefault(number, [])
        for log in logs:
            some.append(
                Log(
                    log.address,
                    log.topics,
                    log.data,
                    number,
                    _hash(number),
                    f"0x{number * 1000 + len(self.logs):064x}",
                    0,
                    len(some),
                )
            )

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges of blocks that were asked for."""
        return [
            (int(p[0]["fromBlock"], 16), int(p[0]["toBlock"], 16))
            for method, p in self.asked
            if method == "eth_getLogs" and "fromBlock" in p[0]
        ]

    def result(self, method: str, parameters: list[Any]) -> Any:
        if method == "eth_chainId":
            return "0x1"
        if method == "eth_blockNumber":
            return hex(self.height)
        if method == "eth_getBlockByNumber":
            return self._block(parameters[0])
        if method == "eth_getBlockByHash":
            return self._block(hex(int(parameters[0], 16) - int(_hash(0), 16)))
        if method == "eth_getLogs":
            return [_as_json(log) for log in self._logs(parameters[0])]
        return "0x"

    def _block(self, name: str) -> Any:
        tags = {"finalized": max(self.height - 64, 0), "safe": self.height - 2, "latest": self.height}
        number = tags[name] if name in tags else int(name, 16)
        if number > self.height:
            return None
        return {
            "number": hex(number),
            "hash": _hash(number),
            "parentHash": _hash(number - 1),
            "timestamp": hex(1_700_000_000 + 12 * number),
            "logsBloom": f"0x{bloom_of(self.logs.get(number, [])):0512x}",
        }

    def _logs(self, wanted: dict[str, Any]) -> list[Log]:
        if "blockHash" in wanted:
            numbers: Sequence[int] = [
                n for n in self.logs if n <= self.height and _hash(n) == wanted["blockHash"]
            ]
        else:
            numbers = range(int(wanted["fromBlock"], 16), min(int(wanted["toBlock"], 16), self.height) + 1)
        return [
            log
            for number in numbers
            if not self.hidden(number)
            for log in self.logs.get(number, [])
            if log.address in wanted.get("address", [log.address])
            and log.topics[0] in wanted.get("topics", [[log.topics[0]]])[0]
        ]


Served = TypeVar("Served", bound=ScriptedNode)


@contextmanager
def serving(node: Served) -> Iterator[Served]:
    """The node behind an address."""

    def answer(request: Request) -> Reply:
        body = json.loads(request.body)
        questions = body if isinstance(body, list) else [body]
        answers = []
        for question in questions:
            method, parameters = question["method"], question["params"]
            node.asked.append((method, parameters))
            fault = node.fault(method, parameters)
            if fault is None and isinstance(body, list) and not node.batches:
                fault = (200, {}, {"error": {"code": -32600, "message": "batches are not supported"}})
            if fault is not None:
                return Reply(*fault)
            answers.append(
                {"jsonrpc": "2.0", "id": question["id"], "result": node.result(method, parameters)}
            )
        return Reply(200, {}, answers if isinstance(body, list) else answers[0])

    with serving_http(answer) as url:
        node.url = f"{url}/v3/secretkey0123456789"
        yield node


def _hash(number: int) -> str:
    return f"0x{number + 7_000_000:064x}"


def _as_json(log: Log) -> dict[str, Any]:
    return {
        "address": log.address,
        "topics": list(log.topics),
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(log.block_number),
        "blockHash": log.block_hash,
        "transactionHash": log.tx_hash,
        "transactionIndex": "0x0",
        "logIndex": hex(log.log_index),
        "removed": False,
    }
