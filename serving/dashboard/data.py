"""What pages read: answers of the views as plain data, from one version of the store for the whole page.

Here: opening the store once for all sessions, and keeping what is large for as long as its version is served. Not here:
what an answer says (`serving.views`), or drawing.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

import streamlit as st

from serving.dashboard.config import DashboardConfig
from serving.dashboard.process import CONFIG_VARIABLE
from serving.dashboard.reasons import Reasons
from serving.store.location import open_store
from serving.store.protocol import Edition, Store, TokenQuery
from serving.views import collections as collection_views
from serving.views import gains as gains_views
from serving.views import portfolio as portfolio_views
from serving.views import state as state_views
from serving.views import tokens as token_views
from serving.views.errors import NotExplainedError

PAGE_ROWS = 1_000
"""Rows asked of a view at once."""


@st.cache_resource(show_spinner=False)
def _opened() -> tuple[DashboardConfig, Store, Reasons | None]:
    config = DashboardConfig.from_json(os.environ[CONFIG_VARIABLE])
    reasons = None if config.reasons is None else Reasons(config.reasons)
    return config, open_store(config.store_url or config.folder, config.refuse_after_s), reasons


@dataclass(frozen=True)
class Published:
    """One version of the store, as a page sees it.

    Attributes:
        edition: The version.
        store: Where it is from.
        reasons: Computes reasons that are not published; None where there is no lake.
        now: Seconds since 1970 when the page was asked for.
    """

    edition: Edition
    store: Store
    reasons: Reasons | None
    now: float

    @classmethod
    def current(cls) -> Published:
        """The version to show now.

        Raises:
            StoreError: There is none to show; the message says why and what to do.
        """
        _, store, reasons = _opened()
        return cls(store.current(), store, reasons, time.time())

    @property
    def version(self) -> str:
        """Name of the version."""
        return self.edition.pointer.version

    @property
    def age_s(self) -> float:
        """Age of the data, seconds."""
        return self.edition.pointer.age_s(self.now)

    @property
    def is_stale(self) -> bool:
        """Whether they are older than the service level allows."""
        return self.age_s > self.edition.pointer.stale_after_s

    def collections(self) -> list[dict[str, Any]]:
        """All collections, the most valuable first."""
        return _all_collections(self.version, self)

    def collection(self, name: str) -> dict[str, Any]:
        """One collection, by its name."""
        return _read(collection_views.collection_answer(self.edition, name, "name", self.now))

    def market(self, name: str) -> dict[str, Any]:
        """Index, sales, traits and models of a collection."""
        return _read(collection_views.market_answer(self.edition, name, "name", self.now))

    def token(self, collection: str, token: str) -> dict[str, Any]:
        """The estimate of a token."""
        return _read(token_views.token_answer(self.edition, collection, token, "name", self.now))

    def tokens(self, collection: str, query: TokenQuery) -> list[dict[str, Any]]:
        """Tokens of a collection, as many as the query's limit."""
        found = _read(token_views.tokens_answer(self.edition, collection, "name", query, None, self.now))
        return found["tokens"]

    def history(self, collection: str, token: str) -> list[dict[str, Any]]:
        """Past estimates of a token, oldest first; the newest `PAGE_ROWS`."""
        found = _read(
            token_views.history_answer(self.edition, collection, token, "name", None, PAGE_ROWS, self.now)
        )
        return found["history"][::-1]

    def explanation(self, collection: str, token: str) -> dict[str, Any]:
        """The reasons of a token's estimate: published, or computed now.

        Raises:
            NotExplainedError: None are published, and there is no lake to compute them from.
            ExplanationBehindError: The lake has another estimate by now.
            ExplainerError: They cannot be computed now.
        """
        try:
            return _read(token_views.explanation_answer(self.edition, collection, token, "name", self.now))
        except NotExplainedError:
            if self.reasons is None:
                raise
        document = self.reasons.explain(self.version, collection, token)
        return _read(token_views.computed_explanation(self.edition, collection, token, document, self.now))

    def addresses(self, addresses: list[str]) -> dict[str, Any]:
        """What several addresses hold, as one portfolio."""
        return _read(portfolio_views.addresses_answer(self.edition, addresses, self.now))

    def gains(self, address: str) -> dict[str, Any]:
        """Costs and gains of one address."""
        return gains_views.wallet_gains(self.edition, address)

    def accuracy(self) -> dict[str, Any]:
        """How right estimates have been."""
        return _read(state_views.accuracy_answer(self.edition, self.now))

    def status(self) -> dict[str, Any]:
        """What is served, and how fresh its sources are."""
        return _read(state_views.status_answer(self.store, self.edition, self.now))

    def operations(self) -> dict[str, Any]:
        """How the pipeline is, at publication."""
        return _read(state_views.operations_answer(self.edition, self.now))

    def dictionary(self) -> list[dict[str, Any]]:
        """Every table with its columns."""
        return _dictionary(self.version, self)


@st.cache_data(max_entries=2, show_spinner=False)
def _all_collections(version: str, _published: Published) -> list[dict[str, Any]]:  # noqa: ARG001 - the key
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = _read(
            collection_views.collections_answer(
                _published.edition, "-value", cursor, PAGE_ROWS, _published.now
            )
        )
        found += page["collections"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@st.cache_data(max_entries=2, show_spinner=False)
def _dictionary(version: str, _published: Published) -> list[dict[str, Any]]:  # noqa: ARG001 - the key
    found = _read(state_views.dictionary_answer(_published.edition, _published.now))
    return found["tables"]


def _read(answer: bytes) -> dict[str, Any]:
    return json.loads(answer)
