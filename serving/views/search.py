"""Finding collections by a part of their name. Here: the search and what it shows of each. Not here: their documents.

Concept: a store has thousands of collections, and reading all their documents costs a few ten milliseconds. So there
is no index of parts of names; who asks thousands of times a second asks by name.
"""

from __future__ import annotations

import json
from typing import Any

from serving.store.documents import as_json
from serving.store.protocol import Edition
from serving.views.answer import answer, as_of_text

READ_AT_ONCE = 500
_SHOWN = (
    *("collection", "name", "chain", "contract", "slug", "tokens", "tokens_valued", "value_eth"),
    *("tier", "no_value_reason", "grade", "as_of"),
)


def search_answer(edition: Edition, text: str, limit: int, now: float) -> bytes:
    """Collections whose name, slug or contract has the text in it; the most valuable first.

    Args:
        edition: Where from.
        text: A part of the name in upper or lower case; empty: all collections.
        limit: Collections shown; `found` counts the others too.
        now: Seconds since 1970.
    """
    wanted = text.strip().casefold()
    found: list[dict[str, Any]] = []
    count = 0
    after: tuple[float, str] | None = None
    while rows := edition.collections("value", True, after, READ_AT_ONCE):
        after = rows[-1][0], rows[-1][1]
        for _, name, body in rows:
            document = json.loads(body)
            names = (name, document["name"], document["slug"], document["contract"])
            if any(wanted in each.casefold() for each in names if each):
                count += 1
                if len(found) < limit:
                    found.append(_summary(document))
    return answer(
        as_json({"collections": found, "found": count, "as_of": as_of_text(edition.pointer)}),
        edition.pointer,
        now,
    )


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    """The most asked of a collection's document."""
    return {
        **{name: document[name] for name in _SHOWN},
        **{name: document["level"][name] for name in ("lowest_ask_eth", "lowest_ask_at", "floor_proxy_eth")},
        "sales_30d": document["liquidity"]["sales_30d"],
    }
