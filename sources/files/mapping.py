"""What the columns of people's files are called, as data.

Here: which file holds which raw table, and for each contract column the names it goes by, in order of
preference. Not here: reading files (`reading`) and turning them into contract rows (`candidates`).

A user's sales file needs four columns: collection (or contract), token_id, a time and a price.
Everything else may be missing or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

Aliases = Mapping[str, tuple[str, ...]]

_ASSET: dict[str, tuple[str, ...]] = {
    "chain": ("chain", "blockchain"),
    "collection": ("collection", "collection_slug", "collection_name"),
    "contract": ("contract", "contract_address", "nft_contract_address"),
    "token_id": ("token_id", "tokenid", "asset_id", "nft_id"),
    "source": ("source",),
}
_LOG: dict[str, tuple[str, ...]] = {
    "tx_hash": ("tx_hash", "transaction_hash"),
    "log_index": ("log_index", "evt_index"),
    "sub_index": ("sub_index",),
    "block_number": ("block_number", "block"),
    "block_hash": ("block_hash",),
    "quantity": ("quantity", "amount_tokens"),
}
_TIME: dict[str, tuple[str, ...]] = {
    "event_time": (
        "event_time",
        "timestamp",
        "ts",
        "block_timestamp",
        "block_time",
        "time",
        "datetime",
        "date",
    ),
    "precision": ("ts_precision", "precision"),
    "time_uncertainty_s": ("time_uncertainty_s",),
    "known_at": ("known_at",),
}
_MONEY: dict[str, tuple[str, ...]] = {
    "price_native": ("price_native", "price", "price_eth", "price_usd"),
    "currency": ("currency", "currency_symbol", "payment_token"),
    "marketplace": ("marketplace", "market", "venue", "platform"),
}

IMPLIED_CURRENCY: dict[str, str] = {"price_eth": "ETH", "price_usd": "USD"}
"""A price column whose name says its currency."""

UNCERTAINTY_S: dict[str, float] = {
    "second": 0.0,
    "block_interp": 0.0,
    "minute": 30.0,
    "hour": 1800.0,
    "day": 43200.0,
    "approx_week": 302400.0,
}
"""Half-width in seconds of each timestamp precision (the event time is the middle of the interval)."""

SHARED_CONTRACTS: dict[str, str] = {
    "0x059edd72cd353df5106d2b9cc5ab83a52287ac3a": "artblocks",
    "0xa7d8d9ef8d8ce8992df33d8b8cf4aebabd5bd270": "artblocks",
    "0x99a9b7c1116f9ceeb1652de04d5969cce509b069": "artblocks",
}
"""Contracts that keep many collections: project = token_id // 1,000,000 (docs.artblocks.io)."""


@dataclass(frozen=True)
class FileProfile:
    """How the files of one kind become rows of one raw table.

    Attributes:
        pattern: File stem, lower case, with wildcards.
        table: Raw table the file holds.
        aliases: Contract column → names it goes by, best first. `precision` is not a contract column: it is
            the word that says how exact the time is.
        needs: Groups of contract columns of which one must be found.
        constants: Contract columns the profile knows by itself (when the file has no such column).
        collection_prefix: Put before each collection name to make it globally unique.
        trait_column: Column that is a trait of the token, besides the table's own rows.
    """

    pattern: str
    table: str
    aliases: Aliases
    needs: tuple[tuple[str, ...], ...]
    constants: Mapping[str, str] = field(default_factory=dict)
    collection_prefix: str = ""
    trait_column: str | None = None


_SALES: dict[str, tuple[str, ...]] = {
    **_ASSET,
    **_LOG,
    **_TIME,
    **_MONEY,
    "price_raw": ("price_raw",),
    "currency_address": ("currency_address",),
    "decimals": ("decimals",),
    "n_in_tx": ("n_in_tx",),
    "is_bundle_share": ("is_bundle_share",),
    "side": ("side",),
    "sale_type": ("sale_type",),
    "buyer": ("buyer", "buyer_address", "to_address", "to"),
    "seller": ("seller", "seller_address", "from_address", "from"),
    "fee_native": ("fee_native",),
    "royalty_native": ("royalty_native",),
    "superseded_by": ("superseded_by",),
}
_SALES_NEEDS = (("collection", "contract"), ("token_id",), ("event_time",), ("price_native",))
_TRANSFERS: dict[str, tuple[str, ...]] = {
    **_ASSET,
    **_LOG,
    **_TIME,
    "from_address": ("from_address", "from", "seller"),
    "to_address": ("to_address", "to", "buyer"),
}
_LISTINGS: dict[str, tuple[str, ...]] = {
    **_ASSET,
    **_TIME,
    **_MONEY,
    "order_id": ("order_id", "order_hash"),
    "event_kind": ("event_kind", "event_type"),
    "side": ("side", "kind"),
    "maker": ("maker",),
    "valid_until": ("valid_until", "expires_at", "end_time"),
}
_RATES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "currency"),
    "quote": ("quote",),
    "rate": ("rate", "usd", "close", "price_usd", "price"),
    "granularity": ("granularity",),
    "event_time": _TIME["event_time"],
    "known_at": ("known_at",),
    "source": ("source",),
}
_TRAITS: dict[str, tuple[str, ...]] = {
    **_ASSET,
    "trait_type": ("trait_type", "trait", "attribute"),
    "trait_value": ("trait_value", "value"),
    "known_at": ("known_at",),
}
_COLLECTIONS: dict[str, tuple[str, ...]] = {
    **{k: v for k, v in _ASSET.items() if k != "token_id"},
    "name": ("name",),
    "supply": ("supply", "total_supply"),
    "known_at": ("known_at",),
}

PROFILES: tuple[FileProfile, ...] = (
    FileProfile(
        "sales_wax*",
        "sales",
        {**_SALES, "price_native": ("price_native", "price_usd", "price")},
        _SALES_NEEDS,
        constants={"chain": "wax"},
        collection_prefix="wax-",
        trait_column="name",
    ),
    FileProfile("sales*", "sales", _SALES, _SALES_NEEDS),
    FileProfile(
        "transfers*", "transfers", _TRANSFERS, (("collection", "contract"), ("token_id",), ("event_time",))
    ),
    FileProfile(
        "listings*",
        "listings",
        _LISTINGS,
        (("collection", "contract"), ("event_time",), ("price_native",), ("side",)),
    ),
    FileProfile("rates*", "exchange_rates", _RATES, (("symbol",), ("rate",), ("event_time",))),
    FileProfile("exchange_rates*", "exchange_rates", _RATES, (("symbol",), ("rate",), ("event_time",))),
    FileProfile(
        "traits*", "token_traits", _TRAITS, (("collection", "contract"), ("token_id",), ("trait_type",))
    ),
    FileProfile(
        "token_traits*", "token_traits", _TRAITS, (("collection", "contract"), ("token_id",), ("trait_type",))
    ),
    FileProfile("collections*", "collections", _COLLECTIONS, (("collection", "contract"),)),
)

IGNORED: dict[str, str] = {
    "holdings*": "owners at one block: holdings are replayed from transfers",
    "portfolios*": "owners at one day: holdings are replayed from transfers",
}
"""Files that are known and left alone, with the reason."""


def profile_of(stem: str) -> FileProfile | None:
    """The first profile whose pattern fits a file's stem; None for files that hold no raw table."""
    return next((p for p in PROFILES if fnmatch(stem.lower(), p.pattern)), None)


def reason_ignored(stem: str) -> str:
    """Why a file without a profile is left alone."""
    known = next((why for pattern, why in IGNORED.items() if fnmatch(stem.lower(), pattern)), None)
    return known or "no raw table is called so (expected " + ", ".join(p.pattern for p in PROFILES) + ")"
