"""The raw contract: every raw table's columns, types, keys and meaning.

Here: the tables as data, and the pyarrow schemas made from them. Not here: the rules a row must meet
(`sources.validation`), nor how a source gets its rows. The dbt `models/sources.yml` is tested to agree.

All times are UTC without a zone, in microseconds. Every fact has two clocks: `event_time` (when it happened)
and `known_at` (when we learnt it). A table's key says which rows report the same fact; raw keeps all reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

TIMESTAMP = pa.timestamp("us")


@dataclass(frozen=True)
class Column:
    """One column of a raw table.

    Attributes:
        name: Column name.
        dtype: Arrow type.
        description: One line, with the unit where there is one.
        required: Whether a row without it goes to quarantine.
        allowed: The only values that may appear, if the column is an enumeration.
    """

    name: str
    dtype: pa.DataType
    description: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawTable:
    """One table of the raw contract.

    Attributes:
        name: Table name within its schema.
        description: Grain and meaning.
        key: Columns that name the fact a row states.
        columns: Columns in order.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema, columns in contract order, required ones not nullable."""
        return pa.schema(
            [
                pa.field(c.name, c.dtype, metadata={"description": c.description.encode()})
                for c in self.columns
            ]
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in contract order."""
        return tuple(c.name for c in self.columns)


def _text(name: str, description: str, *, required: bool = False, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, pa.string(), description, required, allowed)


def _whole(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, pa.int64(), description, required)


def _number(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, pa.float64(), description, required)


def _timestamp(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, TIMESTAMP, description, required)


def _flag(name: str, description: str) -> Column:
    return Column(name, pa.bool_(), description)


_ASSET = (
    _text("chain", "Chain the asset lives on, lower case", required=True),
    _text("collection", "Globally unique collection name (not a contract)", required=True),
    _text("contract", "Contract address, lower case"),
)
_TOKEN = _text("token_id", "Token within the contract, as decimal text", required=True)
_LOG = (
    _text("tx_hash", "Transaction hash, or row:<source_row> when the source has none", required=True),
    _whole(
        "log_index", "Position of the log in its block; ordinal within the tx when unknown", required=True
    ),
    _whole("sub_index", "Position within one log that moves several tokens", required=True),
    _whole("block_number", "Block height"),
    _text("block_hash", "Hash of the block, which a reorg changes"),
)
_CLOCKS = (
    _timestamp("event_time", "When it happened (middle of the uncertainty interval)", required=True),
    _number("time_uncertainty_s", "Half-width of the event time in seconds", required=True),
    _timestamp("known_at", "When we learnt it", required=True),
)
_FINALITY = (
    _flag("finalized", "Whether the block can no longer be reorganised"),
    _text("superseded_by", "Block hash that replaced this row's block, null while it stands"),
)
_ORIGIN = (
    _text("source", "Name of the source", required=True),
    _text("source_row", "Names the row in its source, e.g. sales.parquet:123", required=True),
)
_GAS = (
    _whole("gas_used", "Gas that the whole transaction used, in units of gas"),
    _whole("gas_price_wei", "Price of a unit of gas in base units of the chain's own coin"),
    _number(
        "gas_native",
        "Cost of the whole transaction's gas, in the chain's own coin; counts where one of those is missing",
    ),
    _text("gas_payer", "Address that sent the transaction and paid its gas"),
)
_KNOWN = _timestamp("known_at", "When we learnt it", required=True)

SALES = RawTable(
    "sales",
    "One row per report of a sale of one token",
    ("chain", "tx_hash", "log_index", "sub_index", "collection", "token_id"),
    (
        *_ASSET,
        _TOKEN,
        *_LOG,
        *_CLOCKS,
        _text("price_raw", "Price in integer base units of the currency, as decimal text"),
        _number("price_native", "Price of all units together, in the currency; zero and missing are facts"),
        _text("currency", "Currency symbol", required=True),
        _text("currency_address", "Contract of the currency, null for the chain's own coin"),
        _whole("decimals", "Decimals of the currency"),
        _whole("quantity", "Number of units sold (1 for ERC-721)"),
        _whole("n_in_tx", "Number of sales in the transaction, by the source"),
        _flag("is_bundle_share", "Whether the price is a share of a bundle's price"),
        _text(
            "side",
            "How the sale came about",
            allowed=("listing_filled", "bid_accepted", "auction", "private"),
        ),
        _text("sale_type", "Market of the sale", allowed=("primary", "secondary")),
        _text("marketplace", "Venue"),
        _text("buyer", "Address that received the token"),
        _text("seller", "Address that gave the token"),
        _number("fee_native", "Part of the price that the venue got"),
        _number("royalty_native", "Part of the price that the creator got"),
        _number("buyer_fee_native", "What the buyer paid beside the price, in the currency"),
        *_GAS,
        *_FINALITY,
        *_ORIGIN,
    ),
)

TRANSFERS = RawTable(
    "transfers",
    "One row per movement of one token between two addresses; from the zero address = mint",
    ("chain", "tx_hash", "log_index", "sub_index"),
    (
        *_ASSET,
        _TOKEN,
        *_LOG,
        *_CLOCKS,
        _text("from_address", "Previous owner"),
        _text("to_address", "New owner"),
        _whole("quantity", "Number of units moved (1 for ERC-721)"),
        *_GAS,
        *_FINALITY,
        *_ORIGIN,
    ),
)

LISTINGS = RawTable(
    "listings",
    "One row per event in the life of an ask or a bid",
    ("chain", "order_id", "event_kind"),
    (
        *_ASSET,
        _text("token_id", "Token the order is for; null = a bid on any token of the collection"),
        _text("order_id", "Order the event belongs to", required=True),
        _text(
            "event_kind",
            "What happened to the order",
            required=True,
            allowed=("created", "cancelled", "filled", "expired"),
        ),
        _text("side", "Offer to sell or to buy", required=True, allowed=("ask", "bid")),
        _number("price_native", "Price in units of the currency"),
        _text("currency", "Currency symbol", required=True),
        _text("maker", "Address that made the order"),
        _text("marketplace", "Venue"),
        _timestamp("valid_until", "When the order ends by itself"),
        *_CLOCKS,
        *_ORIGIN,
    ),
)

TOKEN_TRAITS = RawTable(
    "token_traits",
    "One row per trait of a token",
    ("chain", "collection", "token_id", "trait_type"),
    (
        *_ASSET,
        _TOKEN,
        _text("trait_type", "Trait, e.g. Background", required=True),
        _text("trait_value", "Value, e.g. Blue; null = the token lacks the trait"),
        _KNOWN,
        *_ORIGIN,
    ),
)

EXCHANGE_RATES = RawTable(
    "exchange_rates",
    "One row per symbol and time: the price of one unit in the quote currency",
    ("symbol", "quote", "granularity", "event_time"),
    (
        _text("symbol", "Currency symbol", required=True),
        _text("quote", "Currency the rate is in", required=True, allowed=("USD",)),
        _number("rate", "Units of the quote currency per unit of the symbol", required=True),
        _text(
            "granularity",
            "Spacing of the series; update: each answer of a price feed",
            required=True,
            allowed=("hour", "day", "update"),
        ),
        _timestamp(
            "event_time",
            "Start of the hour or day the rate is the close of; the time of an update",
            required=True,
        ),
        _timestamp("known_at", "When we learnt it; never before the close", required=True),
        *_ORIGIN,
    ),
)

COLLECTIONS = RawTable(
    "collections",
    "One row per collection a source knows",
    ("chain", "collection"),
    (
        *_ASSET,
        _text("name", "Name for people"),
        _whole("supply", "Declared number of tokens"),
        _KNOWN,
        *_ORIGIN,
    ),
)

BLOCKS = RawTable(
    "blocks",
    "One row per block of a chain that holds rows, or is not final yet",
    ("chain", "block_hash"),
    (
        _text("chain", "Chain, lower case", required=True),
        _whole("block_number", "Height", required=True),
        _text("block_hash", "Its hash", required=True),
        _text("parent_hash", "Hash of the block before", required=True),
        _text("logs_bloom", "Bloom filter of its logs, 0x and 512 hex digits", required=True),
        _whole(
            "n_logs", "Logs of the whole block; null where only those of watched contracts were asked for"
        ),
        _whole("n_kept_logs", "Logs that were kept: of watched contracts and of their sales", required=True),
        *_CLOCKS,
        *_FINALITY,
        *_ORIGIN,
    ),
)

QUARANTINE = RawTable(
    "quarantine",
    "One row per source row (or whole file) that did not meet the contract",
    ("quarantine_id",),
    (
        _text("quarantine_id", "md5 of source_row and reason", required=True),
        _text("table_name", "Raw table the row was meant for", required=True),
        _text("source", "Name of the source", required=True),
        _text("source_row", "Names the row in its source", required=True),
        _text("reason", "Machine word, see sources.validation.REASONS", required=True),
        _text("column_name", "Column that broke the rule"),
        _text("expected", "What the rule expects"),
        _text("found", "What the row has"),
        _text("payload", "The whole row as JSON, for replay", required=True),
        _timestamp("known_at", "When the row would have become known", required=True),
        _text("status", "Where it stands", required=True, allowed=("open", "replayed")),
    ),
)

COLLECTION_LEVELS = RawTable(
    "collection_levels",
    "Hidden truth of the simulator: a collection's log level in ETH at 00:00 UTC of the day",
    ("collection", "day"),
    (
        _text("collection", "Collection", required=True),
        Column("day", pa.date32(), "Day; the level is that at its start", required=True),
        _number("log_level", "ln ETH of a token whose effect is 0", required=True),
    ),
)

TOKEN_EFFECTS = RawTable(
    "token_effects",
    "Hidden truth of the simulator: true value = exp(log_level + log_effect) ETH",
    ("collection", "token_id"),
    (
        _text("collection", "Collection", required=True),
        _text("token_id", "Token", required=True),
        _number("log_effect", "ln premium over the collection's level", required=True),
    ),
)

RAW_TABLES: dict[str, RawTable] = {
    t.name: t for t in (SALES, TRANSFERS, LISTINGS, TOKEN_TRAITS, EXCHANGE_RATES, COLLECTIONS, BLOCKS)
}
"""The tables a source yields, by name."""

EVENT_TABLES = tuple(t.name for t in (SALES, TRANSFERS, LISTINGS, EXCHANGE_RATES, BLOCKS))
"""Those whose rows happen at a time, and are delivered by day."""

FACT_TABLES = tuple(name for name in RAW_TABLES if name not in EVENT_TABLES)
"""Those whose rows hold from when they are known."""

TRUTH_TABLES: dict[str, RawTable] = {t.name: t for t in (COLLECTION_LEVELS, TOKEN_EFFECTS)}
"""Hidden truth (schema `truth`): no model, mart or feature may read it."""


class UnknownTableError(LookupError):
    """A table was asked for that the raw contract does not have."""


def raw_table(name: str) -> RawTable:
    """The raw table of this name.

    Raises:
        UnknownTableError: If the contract has no such table.
    """
    try:
        return RAW_TABLES[name]
    except KeyError:
        raise UnknownTableError(
            f"expected a raw table ({', '.join(RAW_TABLES)}), found {name!r}: check the spelling"
        ) from None
