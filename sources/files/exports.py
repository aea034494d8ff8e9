"""Exports that many people have, as data: whose columns they are, and what these mean there.

Here: what the names alone would not say. Not here: names that mean the same everywhere (`sources.files.aliases`). An
export is known by columns that no other has together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Export:
    """One export.

    Attributes:
        name: Name for people.
        table: Raw table it holds.
        signature: Columns it is known by, as `plain_name` writes them; of a text with "|" one is enough.
        roles: Role → column, before the aliases; an empty text: no column has this role here.
        constants: Role → value for every row.
        native_currency: Whether prices are in the chain's own coin.
        known_contracts_only: Whether rows of contracts that no other file knows as tokens are refused.
        summed: Columns that together are the price in base units.
    """

    name: str
    table: str
    signature: tuple[str, ...]
    roles: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    native_currency: bool = False
    known_contracts_only: bool = False
    summed: tuple[str, ...] = ()

    def fits(self, names: frozenset[str]) -> bool:
        """Whether a file with these columns is this export."""
        return all(not names.isdisjoint(part.split("|")) for part in self.signature)


EXPORTS: tuple[Export, ...] = (
    Export(
        "Dune nft.trades",
        "sales",
        ("amount_original", "nft_contract_address|project_contract_address", "block_time"),
        {
            "price": "amount_original",
            "marketplace": "project",
            "event": "evt_type",
            "fee_native": "platform_fee_amount",
            "royalty_native": "royalty_fee_amount",
            "gas_price_wei": "gas_price",
        },
    ),
    Export(
        "Dune nft.transfers",
        "transfers",
        ("transfer_type", "token_standard", "contract_address", "block_time"),
        {"quantity": "amount"},
    ),
    Export(
        "Dune prices.usd",
        "exchange_rates",
        ("symbol", "price", "contract_address", "minute|hour|day|timestamp"),
    ),
    Export(
        "Flipside nft.ez_nft_sales",
        "sales",
        ("nft_address|nft_contract_address", "platform_name", "currency_symbol", "price"),
        {
            "price": "price",
            "collection": "project_name",
            "event": "event_type",
            "fee_native": "platform_fee",
            "royalty_native": "creator_fee",
            "gas_native": "tx_fee",
        },
    ),
    Export(
        "Allium nfts.trades",
        "sales",
        ("raw_price", "usd_price", "token_address", "price"),
        {"price": "price", "event": "", "side": ""},
    ),
    Export(
        "Reservoir sales table",
        "sales",
        ("order_side", "currency_price", "price", "tx_log_index|tx_hash"),
        # `price` is in the chain's coin; what was paid is in currency_price.
        {"price": "price", "currency": "", "currency_address": "", "quantity": "amount", "usd": "usd_price"},
        native_currency=True,
    ),
    Export(
        "Reservoir /sales",
        "sales",
        ("price_amount_decimal", "token_token_id|token_id"),
        {
            "price": "price_amount_decimal",
            "currency": "price_currency_symbol",
            "quantity": "amount",
            "usd": "price_amount_usd",
            "event": "",
        },
    ),
    Export(
        "OpenSea events (v1), Kaggle's history of NFT sales",
        "sales",
        ("total_price", "payment_token_name|payment_token_symbol", "asset_id|asset_token_id"),
        {"price_raw": "total_price", "price": "", "usd": ""},
    ),
    Export(
        "OpenSea events (v2)",
        "sales",
        ("payment_quantity", "nft_identifier"),
        {"price_raw": "payment_quantity", "price": "", "quantity": "quantity"},
    ),
    Export(
        "NFTScan",
        "sales",
        ("trade_price", "trade_symbol", "send", "receive"),
        # `from` and `to` are those of the transaction.
        {
            "price": "trade_price",
            "currency_address": "trade_symbol_address",
            "seller": "send",
            "buyer": "receive",
            "quantity": "amount",
            "collection": "contract_name",
        },
    ),
    Export(
        "NFT-70M",
        "sales",
        ("tx_timestamp", "token", "to_eth", "to_usd", "price"),
        {"price": "price", "currency": "token", "usd": "usd_price", "collection": "collection_name"},
    ),
    Export(
        "Etherscan NFT trades",
        "sales",
        ("txn_hash", "unix_timestamp|unixtimestamp", "token_id", "price"),
        {"price": "price", "collection": "nft"},
    ),
    Export(
        "Etherscan token transfers (API)",
        "transfers",
        ("time_stamp", "token_id", "contract_address", "from", "to", "gas_used|gas_price|gas"),
        {"collection": "token_name", "event_time": "time_stamp", "gas_price_wei": "gas_price"},
    ),
    Export(
        "Alchemy getNFTSales",
        "sales",
        ("seller_fee_amount", "contract_address", "token_id"),
        {
            "currency": "seller_fee_symbol",
            "decimals": "seller_fee_decimals",
            "currency_address": "seller_fee_token_address",
            "sub_index": "bundle_index",
        },
        summed=("seller_fee_amount", "protocol_fee_amount", "royalty_fee_amount"),
    ),
    Export(
        "Alchemy getAssetTransfers",
        "transfers",
        ("raw_contract_address", "metadata_block_timestamp", "from", "to"),
    ),
    Export(
        "Moralis NFT trades",
        "sales",
        ("price_token_address", "token_ids|token_id", "transaction_hash", "price"),
        {"price_raw": "price", "price": "", "currency_address": "price_token_address"},
    ),
    Export(
        "ethereum-etl token_transfers",
        "transfers",
        ("token_address", "value", "transaction_hash", "log_index", "from_address", "to_address"),
        # `value` is the id of an ERC-721 token, or an amount of an ERC-20 token.
        {"token_id": "value", "quantity": ""},
        known_contracts_only=True,
    ),
    Export("CoinGecko prices", "exchange_rates", ("snapped_at", "price"), {"event_time": "snapped_at"}),
    Export(
        "Yahoo Finance and other open-high-low-close prices",
        "exchange_rates",
        ("open", "high", "low", "close"),
        {"rate": "close"},
    ),
    Export(
        "CoinGecko market_chart",
        "exchange_rates",
        ("column_1", "column_2"),
        {"event_time": "column_1", "rate": "column_2"},
    ),
)
"""Every export we know, the first that fits counts."""
