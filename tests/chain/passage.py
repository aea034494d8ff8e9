"""What stands between a source and a real node: it goes away, forgets logs, or stays behind when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.chain.node import Node
from tests.chain.scripted import ScriptedNode

Change = Callable[[str, list[Any], Any], Any]
"""(method, parameters, true result) → what is answered."""


class Passage(ScriptedNode):
    """Answers what the node answers, changed.

    Attributes:
        allowed: Questions that are answered; after them it answers 503.
        change: What is made of a true result.
    """

    def __init__(self, node: Node, change: Change = lambda _method, _parameters, result: result) -> None:
        super().__init__()
        self.node = node
        self.allowed = 10_000
        self.change = change
        self.fault = lambda *_: (503, {}, b"gone") if len(self.asked) > self.allowed else None

    def result(self, method: str, parameters: list[Any]) -> Any:
        return self.change(method, parameters, self.node.call(method, *parameters))
