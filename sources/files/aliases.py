"""What the columns of people's files are called, as data.

Here: for each table the roles a column can have and the names it goes by, best first. Not here: exports whose names
mean something of their own (`sources.files.exports`), and choosing (`sources.files.recognition`). Names are compared
as `plain_name` writes them.

Most roles are columns of the raw contract. The others say how to come to one: `date` and `time_of_day`, `precision`,
`price` (in the currency of `currency`), `price_raw` (in its base units), `usd` (a second price, to check the first),
`event` (what happened, where a file holds more than sales), `undone` (true: the event was taken back), `outcome`
(whether its transaction succeeded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sources.currencies import SYMBOL_BY_SPELLING

Aliases = Mapping[str, tuple[str, ...]]

_ASSET: dict[str, tuple[str, ...]] = {
    "chain": ("chain", "blockchain", "network", "chain_name", "chain_id", "network_name", "chain_identifier"),
    "collection": (
        "collection", "collection_slug", "collection_name", "asset_collection_slug", "asset_collection_name",
        "nft_collection", "nft_collection_name", "token_collection_name", "project_name", "nft_project_name",
        "collection_title", "slug", "contract_name", "asset_asset_contract_name", "token_name",
    ),
    "contract": (
        "contract", "contract_address", "nft_contract_address", "nft_contract", "nft_address", "token_address",
        "asset_contract_address", "asset_asset_contract_address", "collection_address", "collection_contract",
        "collection_contract_address", "token_contract", "token_contract_address", "nft_token_address",
        "asset_address", "contractaddress", "erc721", "erc1155", "raw_contract_address",
    ),
    "token_id": (
        "token_id", "tokenid", "asset_token_id", "asset_id", "nft_id", "nft_token_id", "token_token_id",
        "nft_identifier", "asset_identifier", "token_id_string", "tokenid_string", "erc721_token_id", "identifier",
        "mint", "mint_address", "token_mint", "token_id_binary", "token_ids", "inscription_id",
        "punk_id", "token_number",
    ),
    "source": ("source",),
}  # fmt: skip
_LOG: dict[str, tuple[str, ...]] = {
    "tx_hash": (
        "tx_hash", "transaction_hash", "txn_hash", "txhash", "transaction_transaction_hash", "tx", "transaction",
        "tx_id", "transaction_id", "hash", "signature",
    ),
    "log_index": ("log_index", "evt_index", "event_index", "tx_log_index", "logindex"),
    "sub_index": ("sub_index", "tx_batch_index", "batch_index"),
    "block_number": ("block_number", "block", "blocknumber", "block_height", "block_num", "block_no"),
    "block_hash": ("block_hash",),
    "quantity": (
        "quantity", "number_of_items", "item_quantity", "amount_tokens", "nft_quantity", "token_quantity",
        "erc1155_value", "num_items",
    ),
    "undone": ("is_deleted", "deleted", "removed", "is_removed", "is_reorged", "reverted", "is_error"),
    "outcome": (
        "tx_success", "tx_succeeded", "success", "succeeded", "is_success", "transaction_success", "tx_status",
        "transaction_status", "txn_status", "receipt_status", "tx_receipt_status", "txreceipt_status", "status",
    ),
}  # fmt: skip
_GAS: dict[str, tuple[str, ...]] = {
    "gas_used": ("gas_used", "tx_gas_used", "receipt_gas_used", "transaction_gas_used"),
    # always in wei; what is only called a gas price can be in gwei (`sources.files.exports` knows where it is not)
    "gas_price_wei": ("gas_price_wei", "effective_gas_price", "receipt_effective_gas_price"),
    "gas_native": (
        "gas_native",
        "gas_fee_eth",
        "gas_eth",
        "tx_fee_eth",
        "txn_fee_eth",
        "transaction_fee_eth",
    ),
    "gas_payer": (
        "gas_payer",
        "tx_from",
        "tx_from_address",
        "origin_from_address",
        "transaction_from_address",
    ),
}
_TIME: dict[str, tuple[str, ...]] = {
    "event_time": (
        "event_time", "timestamp", "ts", "block_timestamp", "block_time", "event_timestamp", "sale_time",
        "sale_timestamp", "sales_datetime", "tx_timestamp", "transaction_timestamp", "transaction_time", "sold_at",
        "traded_at", "executed_at", "block_signed_at", "metadata_block_timestamp", "datetime", "date_time",
        "datetime_utc", "date_time_utc", "time_stamp", "unix_timestamp", "unixtimestamp", "unix_time", "time",
        "date", "sale_date", "event_date", "transaction_date", "block_date", "day", "created_date", "created_at",
    ),
    "date": ("date", "day", "sale_date", "event_date", "transaction_date", "block_date"),
    "time_of_day": ("time", "time_of_day", "time_utc", "sale_time", "hour"),
    "precision": ("ts_precision", "precision"),
    "time_uncertainty_s": ("time_uncertainty_s",),
    "known_at": ("known_at",),
}  # fmt: skip
_MONEY: dict[str, tuple[str, ...]] = {
    "price_native": ("price_native",),
    "price": (
        "currency_price", "amount_original", "price", "sale_price", "total_price", "price_paid", "sold_price",
        "trade_price", "price_amount", "price_amount_decimal", "sale_amount", "amount_paid", "price_formatted",
        "original_amount", "sales_amount",
    ),
    "price_raw": (
        "price_raw", "raw_price", "amount_raw", "price_wei", "total_price_wei", "sale_price_wei", "price_in_wei",
        "price_amount_raw", "payment_quantity", "wei", "original_amount_raw", "amount_in_wei", "value_wei",
        "amount_wei",
    ),
    "usd": (
        "price_usd", "usd_price", "amount_usd", "price_in_usd", "sale_price_usd", "usd_amount", "usd_value",
        "value_usd", "price_amount_usd", "total_price_usd", "trade_price_usd", "usd_price_at_sale", "sale_value_usd",
        "price_amount_in_usd", "usd",
    ),
    "currency": (
        "currency", "currency_symbol", "payment_token", "payment_token_symbol", "payment_symbol", "price_currency",
        "price_currency_symbol", "payment_token_name", "currency_name", "payment_currency", "sale_currency",
        "price_symbol", "price_unit", "coin", "ccy", "original_currency", "payment_token_token_symbol",
        "currency_code", "trade_symbol", "trade_currency", "pay_token", "payment_method", "paid_with", "price_token",
        "unit",
    ),
    "currency_address": (
        "currency_address", "currency_contract", "payment_token_address", "price_currency_contract",
        "price_token_address", "original_currency_contract", "payment_token_token_address",
    ),
    "decimals": (
        "decimals", "currency_decimals", "payment_decimals", "payment_token_decimals", "price_currency_decimals",
        "payment_token_token_decimals",
    ),
    "marketplace": (
        "marketplace", "market", "venue", "platform", "platform_name", "marketplace_name", "exchange",
        "exchange_name", "project",
    ),
}  # fmt: skip
_TRAITS: dict[str, tuple[str, ...]] = {
    **_ASSET,
    "trait_type": (
        "trait_type", "trait", "attribute", "trait_name", "attribute_name", "trait_key", "attribute_type",
    ),
    "trait_value": ("trait_value", "value", "attribute_value"),
    "known_at": ("known_at",),
}  # fmt: skip
_FROM = ("from_address", "from", "seller", "from_account", "sender", "seller_address", "nft_from")
_TO = ("to_address", "to", "buyer", "to_account", "receiver", "recipient", "buyer_address", "nft_to")


@dataclass(frozen=True)
class Table:
    """How a raw table is found in a file.

    Attributes:
        aliases: Role → names, best first.
        needs: Groups of roles of which one must be found.
    """

    aliases: Aliases
    needs: tuple[tuple[str, ...], ...]


_ASSET_NEEDED = (("collection", "contract"), ("token_id",))

TABLES: dict[str, Table] = {
    "sales": Table(
        {
            **_ASSET,
            **_LOG,
            **_GAS,
            **_TIME,
            **_MONEY,
            "n_in_tx": ("n_in_tx",),
            "is_bundle_share": ("is_bundle_share",),
            "side": ("side", "order_side"),
            "sale_type": ("sale_type",),
            "is_primary": ("is_primary", "is_primary_sale", "is_mint", "is_first_sale"),
            "event": ("event_type", "evt_type", "action", "event", "activity_type", "type"),
            "buyer": (
                "buyer", "buyer_address", "winner_account_address", "winner_account", "buyer_account", "to_address",
                "to", "to_account", "purchaser", "winner",
            ),
            "seller": (
                "seller", "seller_address", "seller_account_address", "seller_account", "from_address", "from",
                "from_account",
            ),
            "fee_native": ("fee_native",),
            "royalty_native": ("royalty_native",),
            "buyer_fee_native": ("buyer_fee_native",),
            "superseded_by": ("superseded_by",),
        },
        (*_ASSET_NEEDED, ("event_time",), ("price_native", "price", "price_raw", "usd")),
    ),
    "transfers": Table(
        {
            **_ASSET,
            **_LOG,
            **_GAS,
            **_TIME,
            "quantity": (*_LOG["quantity"], "amount"),
            "from_address": _FROM,
            "to_address": _TO,
            "superseded_by": ("superseded_by",),
        },
        (*_ASSET_NEEDED, ("event_time",)),
    ),
    "listings": Table(
        {
            **_ASSET,
            **_TIME,
            **_MONEY,
            "event_time": (
                *_TIME["event_time"], "listing_time", "listed_at", "valid_from", "start_time", "listing_date",
            ),
            "order_id": ("order_id", "order_hash"),
            "event_kind": ("event_kind", "event_type"),
            "side": ("side", "order_side", "order_type", "kind"),
            "maker": ("maker", "maker_address"),
            "valid_until": ("valid_until", "expires_at", "end_time", "expiration_time"),
        },
        (("collection", "contract"), ("event_time",), ("price_native", "price", "price_raw", "usd"), ("side",)),
    ),
    "exchange_rates": Table(
        {
            "symbol": ("symbol", "currency", "asset", "ticker", "token_symbol", "coin", "base", "pair"),
            "quote": ("quote",),
            "rate": (
                "rate", "usd", "close", "price_usd", "price", "usd_price", "rate_usd", "close_price", "price_close",
                "value_usd",
            ),
            "granularity": ("granularity",),
            "event_time": (*_TIME["event_time"], "minute", "hour", "snapped_at", "open_time"),
            "known_at": ("known_at",),
            "source": ("source",),
            "rate_chain": _ASSET["chain"],
            "rate_contract": ("contract_address", "token_address", "contract", "currency_address"),
        },
        (("symbol",), ("rate",), ("event_time",)),
    ),
    "token_traits": Table(_TRAITS, (*_ASSET_NEEDED, ("trait_type",))),
    "collections": Table(
        {
            **{k: v for k, v in _ASSET.items() if k != "token_id"},
            "name": ("name",),
            "supply": ("supply", "total_supply"),
            "known_at": ("known_at",),
        },
        (("collection", "contract"),),
    ),
}  # fmt: skip
"""Raw table → how it is found."""

FILE_PATTERNS: tuple[tuple[str, str], ...] = (
    ("sales*", "sales"),
    ("transfers*", "transfers"),
    ("listings*", "listings"),
    ("rates*", "exchange_rates"),
    ("exchange_rates*", "exchange_rates"),
    ("traits*", "token_traits"),
    ("token_traits*", "token_traits"),
    ("collections*", "collections"),
)
"""A file of such a name is meant for the table: when its columns do not fit, the file is refused by name."""

FILE_WORDS: dict[str, str] = {
    "sale": "sales", "sales": "sales", "trade": "sales", "trades": "sales", "transfer": "transfers",
    "transfers": "transfers", "listing": "listings", "listings": "listings", "bids": "listings", "asks": "listings",
    "rates": "exchange_rates", "prices": "exchange_rates", "price": "exchange_rates", "rate": "exchange_rates",
    "usd": "exchange_rates", "traits": "token_traits", "attributes": "token_traits", "trait": "token_traits",
    "collections": "collections", "collection": "collections", "bid": "listings", "ask": "listings",
    "offers": "listings",
}  # fmt: skip
"""A word in a file's name that makes a table likelier when the columns fit it."""

IGNORED: dict[str, str] = {
    "holdings*": "owners at one block: holdings are replayed from transfers",
    "portfolios*": "owners at one day: holdings are replayed from transfers",
}
"""Files that are known and left alone, with the reason."""

UNCERTAINTY_S: dict[str, float] = {
    "second": 0.0,
    "block_interp": 0.0,
    "minute": 30.0,
    "hour": 1800.0,
    "day": 43200.0,
    "approx_week": 302400.0,
}
"""Half-width in seconds of each timestamp precision (the event time is the middle of the interval)."""

BASE_UNITS: dict[str, tuple[str, int]] = {
    "gwei": ("ETH", 9), "lamports": ("SOL", 9), "lamport": ("SOL", 9), "mutez": ("XTZ", 6), "satoshis": ("BTC", 8),
    "sats": ("BTC", 8), "microalgos": ("ALGO", 6),
}  # fmt: skip
"""Name of a base unit → currency, and decimal places from it to the unit."""

_UNITS = "|".join(sorted((s.lower() for s in SYMBOL_BY_SPELLING if s.isalpha()), key=len, reverse=True))
_PRICE_IN = re.compile(
    rf"(?:sale_|total_|floor_)?(?:price|amount|value|cost)_(?:in_)?({_UNITS})|({_UNITS})_(?:price|amount|value)"
)

_SCALED_IN = re.compile(rf"(?:(?:sale_|total_)?(?:price|amount|value)_(?:in_)?)?({'|'.join(BASE_UNITS)})")


_SIGNS = {"$": "usd", "€": "eur", "Ξ": "eth"}


def plain_name(name: str) -> str:
    """A column's name in lower case, its words joined by "_": `tokenId`, `Token ID` and `token.id` are `token_id`."""
    words = re.sub("[$€Ξ]", lambda sign: f" {_SIGNS[sign[0]]} ", name).strip()
    if words != words.upper():
        words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def scaled_in(name: str) -> tuple[str, int] | None:
    """The currency and places of the base unit that a price column's name states (`price_gwei`); None without one."""
    found = _SCALED_IN.fullmatch(name)
    return BASE_UNITS[found[1]] if found else None


def priced_in(name: str) -> str | None:
    """The currency that the name of a price column states: ETH of `price_eth` and `eth_price`; None without one."""
    found = _PRICE_IN.fullmatch(name)
    return SYMBOL_BY_SPELLING[(found[1] or found[2]).upper()] if found else None
