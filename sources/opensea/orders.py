"""Orders of OpenSea: what an event, or a listing that stands, says of an ask or a bid.

Here: side, token and price. Not here: what becomes of an order (`sources.web_api.lives`).

A price is never guessed. An order of a listing that stands has its terms (Seaport): they must agree with the price that
is stated. An order for several units or several tokens has no price of one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sources.opensea.streams import LISTINGS, OFFERS, ORDER, STANDING
from sources.values import ZERO_ADDRESS
from sources.web_api.lives import CANCELLED, CREATED, FILLED, OrderEvent
from sources.web_api.paths import at, text_at
from sources.web_api.rows import Fields, Record, Values, paid_in, record_of
from sources.web_api.store import Item

_SIDES = {
    "listing": "ask",
    "item_offer": "bid",
    "collection_offer": "bid",
    "offer": "bid",
    "ask": "ask",
    "bid": "bid",
}
_MONEY = ("0", "1")
_TOKEN, _ANY_TOKEN = ("2", "3"), ("4", "5")
_EVENT = Fields("listings", ORDER, {"marketplace": "opensea", "time_uncertainty_s": "0"})
_STANDING = Fields("listings", STANDING, {"marketplace": "opensea", "time_uncertainty_s": "0"})
_NO_COLUMNS = ("order_type", "taker", "quantity", "encoded", "trait", "private", "event_type", "parameters")
_ONE_PRICE = ("no_single_price", "price_native", "one token, or all of a collection, for one price")


def order_event(item: Item, chain: str) -> OrderEvent | None:
    """What an item says of an order; None: nothing that the raw contract has.

    Offers for tokens with some trait and private listings are none: they are neither bids on a token nor on a
    collection, nor asks for everybody.
    """
    kind, _, slug = item.stream.partition(":")
    if kind in (LISTINGS, OFFERS):
        return _made(item, _standing(item, kind, slug, chain), chain)
    if kind == "sale":
        return OrderEvent(FILLED, record_of(item, {**_EVENT.values(item), "event_kind": FILLED}))
    values = _EVENT.values(item)
    values["slug"] = values.get("slug") or slug
    values["side"] = _SIDES.get(values.get("order_type") or "")
    if kind == "cancel":
        return OrderEvent(CANCELLED, _record(item, {**values, "event_kind": CANCELLED}, chain))
    return _made(item, values, chain)


def _made(item: Item, values: Values, chain: str) -> OrderEvent | None:
    private = values.get("private") == "true" or values.get("taker") not in (None, "", ZERO_ADDRESS)
    if private or values.get("trait") or values.get("order_type") == "trait_offer":
        return None
    refused = _whole_collection_or_token(values)
    return OrderEvent(CREATED, _record(item, {**values, "event_kind": CREATED}, chain, refused))


def _record(
    item: Item, values: Values, chain: str, refused: tuple[str, str, str, str] | None = None
) -> Record:
    read = paid_in(values, chain)
    kept = {role: value for role, value in read.items() if role not in _NO_COLUMNS}
    made = record_of(item, kept)
    return Record(made.row, made.known, made.values, refused)


def _whole_collection_or_token(values: Values) -> tuple[str, str, str, str] | None:
    """Why an order has no price of one token; None when it has."""
    encoded, quantity = values.get("encoded"), values.get("quantity")
    if values.get("problem"):
        return (*_ONE_PRICE, str(values["problem"]))
    if quantity not in (None, "1"):
        return (*_ONE_PRICE, f"{quantity} units")
    if values.get("token_id") is not None:
        return None
    if values.get("side") == "ask" or values.get("order_type") == "item_offer":
        return ("null_key", "token_id", "the token that the order is for", "none")
    # Without a word on it, an offer is for all tokens only where it is called so.
    if encoded != "*" and not (encoded is None and values.get("order_type") == "collection_offer"):
        return (*_ONE_PRICE, f"an offer for the tokens {encoded}"[:200])
    return None


def _standing(item: Item, kind: str, slug: str, chain: str) -> Values:
    """The values of an order with its terms."""
    values = _STANDING.values(item)
    terms = at(item.body, STANDING["parameters"])
    values |= {"slug": values.get("slug") or slug, "side": "ask" if kind == LISTINGS else "bid"}
    given, asked = _list(terms, "offer"), _list(terms, "consideration")
    tokens, money = (given, asked) if kind == LISTINGS else (asked[:1], given)
    if len(tokens) != 1 or not money:
        return {**values, "problem": f"{len(tokens)} tokens"}
    token = tokens[0]
    sort = text_at(token, "itemType") or ""
    values["contract"] = text_at(token, "token") or text_at(item.body, "criteria.contract.address")
    if sort in _TOKEN:
        values["token_id"] = text_at(token, "identifierOrCriteria")
    elif kind == LISTINGS or sort not in _ANY_TOKEN:
        return {**values, "problem": f"items of type {sort}"}
    elif text_at(token, "identifierOrCriteria") == "0":
        values["encoded"] = values.get("encoded") or "*"  # no criteria: any token of the contract
    units = text_at(token, "startAmount")
    if units != "1":
        return {**values, "problem": f"{units} units"}
    return values | _price(values, money, chain)


def _price(values: Values, money: Sequence[Any], chain: str) -> Values:
    """The price, in the currency of the terms; it must be the one that is stated beside them."""
    currencies = {(text_at(m, "token") or "").lower() for m in money}
    if len(currencies) != 1 or any(text_at(m, "itemType") not in _MONEY for m in money):
        return {"problem": "several currencies, or tokens for tokens"}
    address = currencies.pop()
    named: Values = {"currency_address": address}
    if paid_in({**values, **named}, chain)["currency"] == address:
        named["currency"] = None  # the symbol beside an unknown contract says nothing
    amounts = [[text_at(m, name) or "" for m in money] for name in ("startAmount", "endAmount")]
    if not all(amount.isdecimal() for some in amounts for amount in some):
        return {**named, "problem": "amounts that are no whole numbers"}
    low, high = sorted(sum(map(int, some)) for some in amounts)
    stated = values.get("price_raw")
    if stated is None and low == high:
        return {**named, "price_raw": str(low)}
    # Of an auction whose price falls the stated price is that of now.
    if stated is None or not stated.isdecimal() or not low <= int(stated) <= high:
        return {**named, "problem": f"a price of {stated} beside terms of {low} to {high}"[:200]}
    return named


def _list(terms: Any, name: str) -> list[Any]:
    found = at(terms, name)
    return found if isinstance(found, list) else []
