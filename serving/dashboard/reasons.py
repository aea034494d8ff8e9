"""Reasons for pages: the explainer, which lives in an event loop, asked from the threads that draw pages."""

from __future__ import annotations

import asyncio
from threading import Thread

from serving.explainer.client import Explainer
from serving.explainer.source import ReasonSource

PATIENCE_S = 40.0
"""Seconds that a page waits: the first question starts the process of the explainer."""


class Reasons:
    """An explainer in an event loop of its own.

    Args:
        source: Where estimates, features and models are.
    """

    def __init__(self, source: ReasonSource) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._explainer = asyncio.run_coroutine_threadsafe(self._made(source), self._loop).result()

    def explain(self, version: str, collection: str, token: str) -> bytes:
        """The document of a token's reasons, computed from what the lake holds now.

        Raises:
            ExplainerError: They cannot be computed now.
        """
        asked = self._explainer.explain(version, collection, token)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    async def _made(self, source: ReasonSource) -> Explainer:
        return Explainer(source, patience_s=PATIENCE_S)
