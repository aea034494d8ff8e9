"""Rows of the raw contract from items of OpenSea's API.

Here: sales, transfers, tokens with their traits, collections. Not here: orders (`sources.opensea.orders`).

The key of a collection is its contract, as for a chain, so that both know the same collection. In a shop in which
anybody mints it is OpenSea's own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sources.contracts import collection_of
from sources.opensea.orders import order_event
from sources.opensea.streams import (
    COLLECTION,
    EVENT_TYPES,
    LISTINGS,
    OFFERS,
    SALE,
    TOKENS,
    TRANSFER,
)
from sources.values import ZERO_ADDRESS
from sources.web_api.lives import CREATED, lives
from sources.web_api.paths import at, text_at
from sources.web_api.rows import Fields, Record, Values, paid_in, record_of
from sources.web_api.store import Item, Store

_SALE = Fields("sales", SALE, {"marketplace": "opensea", "time_uncertainty_s": "0"})
_TRANSFER = Fields("transfers", TRANSFER, {"time_uncertainty_s": "0"})


@dataclass(frozen=True)
class Decoder:
    """What the items of some collections mean.

    Attributes:
        collections: Names as OpenSea writes them in addresses.
        chain: Chain of items that name none.
    """

    collections: Sequence[str]
    chain: str

    def __call__(self, store: Store, table: str, first: int, end: int) -> Iterator[Record]:
        """Rows of a raw table with first <= known < end (microseconds)."""
        tables: dict[str, Callable[[Store, int, int], Iterable[Record]]] = {
            "sales": self._sales,
            "transfers": self._transfers,
            "listings": self._listings,
            "token_traits": self._traits,
            "collections": self._collections,
        }
        if table in tables:
            for record in tables[table](store, first, end):
                yield replace(record, values=self._with_collection(record.values))

    def _streams(self, *kinds: str) -> list[str]:
        return [f"{kind}:{name}" for kind in kinds for name in self.collections]

    def _sales(self, store: Store, first: int, end: int) -> Iterator[Record]:
        names = self._streams("sale")
        places = _places(store.related("tx", names, first, end))
        orders = store.related("order", self._order_streams, first, end)
        for item in store.items(names, first, end):
            wrong = _wrong_type(item)
            values = _SALE.values(item)
            position, n_in_tx = places.get(item.number, (0, 1))
            side = self._side(orders.get(f"order:{values['order']}", []))
            values |= {
                "log_index": "0",
                "sub_index": str(position),
                "n_in_tx": str(n_in_tx),
                "is_bundle_share": "false",
                "side": side,
            }
            yield from _judged(item, paid_in(values, self.chain), wrong)

    @property
    def _order_streams(self) -> list[str]:
        return self._streams("order", "cancel", "sale", LISTINGS, OFFERS)

    def _side(self, items: Sequence[Item]) -> str | None:
        """How a sale came about, where its order is known."""
        for item in items:
            event = order_event(item, self.chain)
            if event is not None and event.kind == CREATED and event.record.values.get("side"):
                return event.record.values["side"]
        return None

    def _transfers(self, store: Store, first: int, end: int) -> Iterator[Record]:
        names = self._streams("transfer")
        places = _places(store.related("tx", names, first, end))
        for item in store.items(names, first, end):
            values = _TRANSFER.values(item)
            values |= {"log_index": "0", "sub_index": str(places.get(item.number, (0, 1))[0])}
            if values["event_type"] == "mint" and values["from_address"] is None:
                values["from_address"] = ZERO_ADDRESS
            yield from _judged(item, values, _wrong_type(item))

    def _listings(self, store: Store, first: int, end: int) -> Iterator[Record]:
        for item in store.items(self._streams("order", "cancel"), first, end):
            wrong = _wrong_type(item)
            if wrong or not item_order(item):
                yield from _judged(item, {"order_id": item_order(item)}, wrong or _NO_ORDER)
        yield from lives(
            store,
            self._order_streams,
            first,
            end,
            lambda item: None if _wrong_type(item) is not None else order_event(item, self.chain),
        )

    def _traits(self, store: Store, first: int, end: int) -> Iterator[Record]:
        for item in store.items(self._streams(TOKENS), first, end):
            traits = at(item.body, "traits")
            token: Values = {
                "contract": text_at(item.body, "contract"),
                "token_id": text_at(item.body, "identifier"),
                "slug": item.stream.partition(":")[2],
            }
            for number, trait in enumerate(traits if isinstance(traits, list) else []):
                values = {
                    **token,
                    "trait_type": text_at(trait, "trait_type"),
                    "trait_value": text_at(trait, "value"),
                }
                record = record_of(item, values)
                yield replace(record, row=f"{record.row}:{number}")

    def _collections(self, store: Store, first: int, end: int) -> Iterator[Record]:
        for item in store.items(self._streams(COLLECTION), first, end):
            contracts = at(item.body, "contracts")
            listed = contracts if isinstance(contracts, list) else []
            for contract in listed:
                record = record_of(
                    item,
                    {
                        "contract": text_at(contract, "address"),
                        "chain": text_at(contract, "chain"),
                        "slug": item.stream.partition(":")[2],
                        "name": text_at(item.body, "name"),
                        "supply": text_at(item.body, "total_supply") if len(listed) == 1 else None,
                    },
                )
                yield replace(record, row=f"{record.row}:{text_at(contract, 'address')}")

    def _with_collection(self, values: Values) -> Values:
        """The values with the key of their collection, without what is no role of a column."""
        slug, contract = values.get("slug"), values.get("contract")
        token = values.get("token_id")
        number = int(token) if token is not None and token.isdecimal() and len(token) <= 78 else 0
        key = slug if contract is None else collection_of(self.chain, contract.lower(), number, slug)
        dropped = ("slug", "order", "event_type", "problem")
        return {**{k: v for k, v in values.items() if k not in dropped}, "collection": key}


_NO_ORDER = ("null_key", "order_id", "the hash of an order", "none")


def _places(transactions: Mapping[str, Sequence[Item]]) -> dict[int, tuple[int, int]]:
    """Item → its position among those of its token in a transaction, and how many tokens the transaction has.

    Another report of the same event has the position of the first. Movements are in the order in which the token went
    from hand to hand.
    """
    places: dict[int, tuple[int, int]] = {}
    for items in transactions.values():
        of_token: dict[tuple[str | None, str | None], list[Item]] = {}
        for item in items:
            token = text_at(item.body, SALE["contract"]), text_at(item.body, SALE["token_id"])
            of_token.setdefault(token, []).append(item)
        for some in of_token.values():
            keys = list(dict.fromkeys(item.key for item in _from_hand_to_hand(some)))
            places |= {item.number: (keys.index(item.key), len(of_token)) for item in some}
    return places


def _from_hand_to_hand(items: Sequence[Item]) -> list[Item]:
    left, ordered = list(items), list[Item]()
    while left:
        received = {text_at(item.body, TRANSFER["to_address"]) for item in left} - {None}
        first = next((i for i in left if text_at(i.body, TRANSFER["from_address"]) not in received), left[0])
        left.remove(first)
        ordered.append(first)
    return ordered


def item_order(item: Item) -> str | None:
    """The order that an event is about."""
    return text_at(item.body, "order_hash")


def _wrong_type(item: Item) -> tuple[str, str, str, str] | None:
    """Why an event is none of those that were asked for; None when it is."""
    kind = item.stream.partition(":")[0]
    if kind not in EVENT_TYPES:
        return None
    found = text_at(item.body, "event_type") or "nothing"
    if found in EVENT_TYPES[kind]:
        return None
    return ("unknown_value", "event_type", f"an event of type {' or '.join(EVENT_TYPES[kind])}", found)


def _judged(item: Item, values: Values, wrong: tuple[str, str, str, str] | None) -> Iterator[Record]:
    """The row of an item. An event of a type that another question asks for is read there."""
    if wrong is not None and any(wrong[3] in types for types in EVENT_TYPES.values()):
        return
    yield replace(record_of(item, values), refused=wrong)
