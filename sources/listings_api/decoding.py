"""Rows of `raw.listings` from items whose values a user named.

Here: words for sides and events. Not here: the life of an order (`sources.web_api.lives`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sources.contracts import collection_of
from sources.web_api.lives import CANCELLED, CREATED, EXPIRED, FILLED, OrderEvent, lives
from sources.web_api.rows import Fields, Record, Values, paid_in, record_of
from sources.web_api.store import Item, Store

_SIDES = {"sell": "ask", "listing": "ask", "ask": "ask", "buy": "bid", "offer": "bid", "bid": "bid"}
_KINDS = {
    **dict.fromkeys(
        (CREATED, "create", "new", "open", "active", "list", "listed", "listing", "item_listed"), CREATED
    ),
    **dict.fromkeys((CANCELLED, "cancel", "canceled", "item_cancelled", "order_cancelled", "delisted"), CANCELLED),
    **dict.fromkeys((FILLED, "fill", "sale", "sold", "item_sold", "matched", "executed"), FILLED),
    **dict.fromkeys((EXPIRED, "expire"), EXPIRED),
}  # fmt: skip


@dataclass(frozen=True)
class Decoder:
    """What the items of a list mean.

    Attributes:
        mapping: Role → path in an item, or `=value`.
        chain: Chain of items that name none.
    """

    mapping: Mapping[str, str]
    chain: str

    def __call__(self, store: Store, table: str, first: int, end: int) -> Iterator[Record]:
        """Rows of a raw table with first <= known < end (microseconds)."""
        if table != "listings":
            return
        for item in store.items(["listings"], first, end):
            event = self._event(item)
            if event.record.values.get("order_id") is None or event.kind not in _KINDS.values():
                yield event.record
        yield from lives(store, ["listings"], first, end, self._known_event)

    def _known_event(self, item: Item) -> OrderEvent | None:
        event = self._event(item)
        return event if event.kind in _KINDS.values() else None

    def _event(self, item: Item) -> OrderEvent:
        constants = {role: path[1:] for role, path in self.mapping.items() if path.startswith("=")}
        paths = {role: path for role, path in self.mapping.items() if role not in constants}
        values: Values = {
            "time_uncertainty_s": "0",
            **Fields("listings", paths, constants).values(item),
        }
        stated = values.get("event_kind")
        word = re.sub("[ -]+", "_", (stated or CREATED).strip().lower())
        kind = _KINDS.get(word, word)
        values["event_kind"] = kind
        side = (values.get("side") or "").strip().lower()
        values["side"] = _SIDES.get(side, values.get("side"))
        return OrderEvent(kind, record_of(item, self._with_collection(paid_in(values, self.chain))))

    def _with_collection(self, values: Values) -> Values:
        contract, token, name = values.get("contract"), values.get("token_id"), values.get("collection")
        if contract is None:
            return values
        number = int(token) if token is not None and token.isdecimal() and len(token) <= 78 else 0
        return {**values, "collection": collection_of(self.chain, contract.strip().lower(), number, name)}
