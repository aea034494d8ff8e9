"""The lists of OpenSea's API that are read, and where their values are.

Here: paths, as data. Not here: what a value means (`sources.opensea.decoding`, `sources.opensea.orders`).
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from sources.web_api.streams import DAY_S, Stream, Window

EVENT_TYPES: dict[str, tuple[str, ...]] = {
    "sale": ("sale",),
    "transfer": ("transfer", "mint"),
    "order": ("order", "listing", "offer", "item_offer", "collection_offer", "trait_offer"),
    "cancel": ("cancel",),
}
"""Type that is asked for → types of the events in the answer."""

LISTINGS, OFFERS, TOKENS, COLLECTION = "listings", "offers", "tokens", "collection"
"""Lists of what stands: name in the store, before the collection."""

ASSET = {
    "chain": "chain|nft.chain",
    "slug": "nft.collection|asset.collection|criteria.collection.slug",
    "contract": "nft.contract|asset.contract|criteria.contract.address",
    "token_id": "nft.identifier|asset.identifier",
    "event_time": "event_timestamp",
}
PAYMENT = {
    "price_raw": "payment.quantity",
    "currency": "payment.symbol",
    "currency_address": "payment.token_address",
    "decimals": "payment.decimals",
}
SALE = {
    **ASSET,
    **PAYMENT,
    "tx_hash": "transaction.hash|transaction",
    "quantity": "quantity",
    "buyer": "buyer",
    "seller": "seller",
    "order": "order_hash",
    "event_type": "event_type",
}
TRANSFER = {
    **ASSET,
    "tx_hash": "transaction.hash|transaction",
    "quantity": "quantity",
    "from_address": "from_address",
    "to_address": "to_address",
    "event_type": "event_type",
}
ORDER = {
    **ASSET,
    **PAYMENT,
    "order_id": "order_hash",
    "order_type": "order_type|event_type",
    "maker": "maker.address|maker",
    "taker": "taker.address|taker",
    "valid_until": "expiration_date",
    "quantity": "quantity",
    "encoded": "criteria.encoded_token_ids",
    "trait": "criteria.trait|criteria.traits",
    "private": "is_private_listing",
    "event_type": "event_type",
}
_PARAMETERS = "protocol_data.parameters"
STANDING = {
    "chain": "chain",
    "order_id": "order_hash",
    "event_time": f"{_PARAMETERS}.startTime",
    "valid_until": f"{_PARAMETERS}.endTime",
    "maker": f"{_PARAMETERS}.offerer|maker.address",
    "taker": "taker.address|taker",
    "price_raw": "price.current.value|price.value|current_price",
    "currency": "price.current.currency|price.currency",
    "decimals": "price.current.decimals|price.decimals",
    "slug": "criteria.collection.slug",
    "encoded": "criteria.encoded_token_ids",
    "trait": "criteria.trait|criteria.traits",
    "parameters": _PARAMETERS,
}
_EVENT = {"sale": SALE, "transfer": TRANSFER, "order": ORDER, "cancel": ORDER}


def streams(
    collections: Iterable[str],
    *,
    events: Iterable[str],
    listings: bool,
    tokens: bool,
    overlap_s: int,
    page_size: int,
) -> list[Stream]:
    """What is asked, for each collection.

    Args:
        collections: Names as OpenSea writes them in addresses (slugs).
        events: Types of events (`EVENT_TYPES`).
        listings: Whether listings and offers that stand are read.
        tokens: Whether tokens with their traits are read.
        overlap_s: Seconds of events that are read once more.
        page_size: Items of a page.
    """
    return [
        stream
        for name in collections
        for stream in _of_collection(name, tuple(events), listings, tokens, overlap_s, page_size)
    ]


def _of_collection(
    name: str, events: tuple[str, ...], listings: bool, tokens: bool, overlap_s: int, page_size: int
) -> Iterable[Stream]:
    address, size = quote(name, safe=""), str(page_size)
    yield Stream(
        f"{COLLECTION}:{name}",
        f"/api/v2/collections/{address}",
        items="",
        key=("collection",),
        used=("name", "total_supply", "contracts"),
        every_s=DAY_S,
    )
    for kind in events:
        columns = _EVENT[kind]
        yield Stream(
            f"{kind}:{name}",
            f"/api/v2/events/collection/{address}",
            items="asset_events",
            key=tuple(
                columns[role]
                for role in (
                    "order",
                    "order_id",
                    "tx_hash",
                    "contract",
                    "token_id",
                    "event_time",
                    "from_address",
                    "to_address",
                )
                if role in columns
            ),
            used=tuple(columns.values()),
            params={"event_type": kind, "limit": size},
            cursor=("next", "next"),
            page_size=page_size,
            window=Window("after", "before", overlap_s=overlap_s),
            time=columns["event_time"],
            ends=columns.get("valid_until", "") if kind == "order" else "",
            links={"order": "order_hash", "tx": "transaction.hash|transaction"},
        )
    if listings:
        for kind in (LISTINGS, OFFERS):
            yield Stream(
                f"{kind}:{name}",
                f"/api/v2/{kind}/collection/{address}/all",
                items=f"{kind}|orders",
                key=("order_hash",),
                params={"limit": str(min(page_size, 100))},
                cursor=("next", "next"),
                used=("order_hash",),
                time=STANDING["event_time"],
                ends=STANDING["valid_until"],
                links={"order": "order_hash"},
            )
    if tokens:
        yield Stream(
            f"{TOKENS}:{name}",
            f"/api/v2/collection/{address}/nfts",
            items="nfts",
            key=("contract", "identifier"),
            params={"limit": str(min(page_size, 200))},
            cursor=("next", "next"),
            used=("traits", "identifier", "contract"),
            every_s=DAY_S,
        )
