"""What an assistant can ask: each tool is a view of the published store, as the routes of the API are.

Here: the tools without their protocol. Not here: registering them, errors and transport (`server`), or what an answer
says (`serving.views`). All of them read; none changes anything.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.explainer.client import Explainer
from serving.store.protocol import Store
from serving.views.collections import collection_answer
from serving.views.portfolio import portfolio_answer, wallet_answer
from serving.views.reasons import reasons_answer
from serving.views.search import search_answer
from serving.views.state import accuracy_answer, status_answer
from serving.views.tokens import token_answer

Document = dict[str, Any]

_HISTORY = ("collection", "model", "tier", "model_history", "retraining", "recent_error", "drift")
_EVERY_ANSWER = ("as_of", "publication", "age_s", "stale")


@dataclass(frozen=True)
class Tools:
    """Answers from what is published now.

    Attributes:
        store: Where editions come from.
        explainer: Computes reasons that are not published; None: nothing does.
        clock: Seconds since 1970.
    """

    store: Store
    explainer: Explainer | None = None
    clock: Callable[[], float] = time.time

    def find_collections(self, text: str, limit: int) -> Document:
        """Collections by a part of their name."""
        return json.loads(search_answer(self.store.current(), text, limit, self.clock()))

    def describe_collection(self, collection: str, by: str | None) -> Document:
        """One collection."""
        return json.loads(collection_answer(self.store.current(), collection, by, self.clock()))

    def why_retrained(self, collection: str, by: str | None) -> Document:
        """The decisions about a collection's model, and what they were made on."""
        document = self.describe_collection(collection, by)
        return {name: document[name] for name in (*_HISTORY, *_EVERY_ANSWER)}

    def value_token(self, collection: str, token: str, by: str | None) -> Document:
        """One estimate."""
        return json.loads(token_answer(self.store.current(), collection, token, by, self.clock()))

    def value_tokens(self, asked: list[tuple[str, str]], shown: int) -> Document:
        """A list of tokens together."""
        return _cut(json.loads(portfolio_answer(self.store.current(), asked, self.clock())), shown)

    def value_wallet(self, address: str, shown: int) -> Document:
        """The tokens of an address together."""
        return _cut(json.loads(wallet_answer(self.store.current(), address, self.clock())), shown)

    async def explain_token(self, collection: str, token: str, by: str | None) -> Document:
        """The parts of an estimate."""
        edition = await asyncio.to_thread(self.store.current)
        now = self.clock()
        return json.loads(
            await reasons_answer(
                edition, collection, token, by, now, self.explainer, look_up=asyncio.to_thread
            )
        )

    def accuracy(self) -> Document:
        """How right estimates have been."""
        return json.loads(accuracy_answer(self.store.current(), self.clock()))

    def status(self) -> Document:
        """How fresh everything is."""
        return json.loads(status_answer(self.store, self.store.current(), self.clock()))


def _cut(document: Document, shown: int) -> Document:
    """The same with so many positions, the most valuable first: an assistant reads every word."""
    ranked = sorted(document["positions"], key=lambda position: -(position["estimate_eth"] or -1.0))
    return {**document, "positions": ranked[:shown], "positions_left_out": max(0, len(ranked) - shown)}
