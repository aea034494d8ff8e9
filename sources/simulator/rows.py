"""From a day's trades and orders to rows of the raw contract.

Here: columns, currencies, the odd rows every market has, and the faults that change a row's content. Not here: who
trades what (`sources.simulator.market`, `sources.simulator.orders`) and on which day a row arrives
(`sources.simulator.timeline`).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import EXCHANGE_RATES, LISTINGS, SALES, TIMESTAMP, TRANSFERS, RawTable
from sources.simulator.arrivals import known_times
from sources.simulator.config import DAY_US, SimulatorConfig, fault_generator
from sources.simulator.identifiers import constant, hex_text, joined, number_text, salted
from sources.simulator.orders import ANY_TOKEN, KINDS, NO_END, Orders
from sources.simulator.trades import BID, SIDES, Trades, wallets
from sources.simulator.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CHAIN = "simulated"
SOURCE = "simulator"
SECOND_SOURCE = "simulator-b"
ZERO_ADDRESS = "0x" + "0" * 40
_VENUES = ("opensea", "blur", "x2y2")
_BLOCK_S = 12
_FIRST_BLOCK = 18_900_000
_WEI_PER_ETH = 1e18
_FEE, _ROYALTY, _BUYER_FEE = 0.025, 0.05, 0.005
_NOT_BY_SECOND_SOURCE = (
    "fee_native",
    "royalty_native",
    "buyer_fee_native",
    "gas_used",
    "gas_price_wei",
    "gas_payer",
)
_REORG_RETURN_SHARE = 0.8
_REORG_DELAY_US = 120_000_000


class RowMaker:
    """Makes contract rows for one market."""

    def __init__(self, config: SimulatorConfig, universe: Universe) -> None:
        """Prepare the text every row needs."""
        self.config = config
        self.universe = universe
        self.addresses = hex_text(salted(config.seed, 51, np.arange(wallets(config))), 20)
        epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - the contract's times are UTC without a zone
        self.start_us = round((config.start_time - epoch).total_seconds() * 1e6)

    def timestamps(self, times: Ints) -> pa.Array:
        """Microseconds since the start as timestamps; negative ones are before it."""
        return pa.array(np.asarray(times, np.int64) + self.start_us).cast(TIMESTAMP)

    def asset(self, collection: Ints, token: Ints | None) -> dict[str, pa.Array]:
        """The columns that name a token."""
        where = pa.array(collection)
        columns = {
            "chain": constant(CHAIN, pa.string(), len(collection)),
            "collection": self.universe.names.take(where),
            "contract": self.universe.contracts.take(where),
        }
        if token is not None:
            columns["token_id"] = number_text(token - self.universe.offsets[collection] + 1)
        return columns

    def chain_position(self, day: int, tx: Ints, time: Ints, log: Ints) -> dict[str, pa.Array]:
        """The columns that name a log on the chain."""
        block = _FIRST_BLOCK + time // (_BLOCK_S * 1_000_000)
        key = salted(self.config.seed, 41, day * 100_000_000 + tx)
        return {
            "tx_hash": hex_text(key, 32),
            "log_index": pa.array((key % np.uint64(200)).astype(np.int64) + log),
            "sub_index": constant(0, pa.int64(), len(tx)),
            "block_number": pa.array(block),
            "block_hash": hex_text(salted(self.config.seed, 42, block), 32),
        }

    def gas(self, day: int, tx: Ints, payer: pa.Array) -> dict[str, pa.Array]:
        """What the gas of each row's transaction cost, and who paid it."""
        key = salted(self.config.seed, 44, day * 100_000_000 + tx)
        return {
            "gas_used": pa.array(120_000 + (key % np.uint64(180_000)).astype(np.int64)),
            "gas_price_wei": pa.array(
                (5 + (key >> np.uint64(20)) % np.uint64(60)).astype(np.int64) * 1_000_000_000
            ),
            "gas_payer": payer,
        }

    def clocks(self, event: Ints, known: Ints) -> dict[str, pa.Array]:
        """Both clocks; a chain gives event times to the second."""
        return {
            "event_time": self.timestamps(event // 1_000_000 * 1_000_000),
            "time_uncertainty_s": constant(0.0, pa.float64(), len(event)),
            "known_at": self.timestamps(known),
        }

    def origin(self, table: str, day: int, n: int) -> dict[str, pa.Array]:
        """The source, and the row's identifier in it."""
        return {
            "source": constant(SOURCE, pa.string(), n),
            "source_row": joined(f"{table}:{day}:", number_text(np.arange(n))),
        }

    def sales(self, trades: Trades, day: int, eth_usd: float, rng: np.random.Generator) -> pa.Table:
        """Raw sales of a day."""
        c = self.config.calibration
        sold = np.flatnonzero(trades.is_sale)
        n = len(sold)
        t = Trades(**{name: column[sold] for name, column in vars(trades).items()})
        price = np.exp(t.log_price)
        slip = rng.random(n) < c.fat_finger_share
        price = np.where(slip, price * np.exp(-1.2 - rng.exponential(1.0, n)), price)
        # Prices in the smallest step a person would type, so that the integer and the number agree.
        price = np.maximum(np.round(price, 8), 1e-8)
        usdc = rng.random(n) < c.usdc_share
        price = np.where(usdc, np.round(price * eth_usd, 2), price)
        price = np.where(rng.random(n) < c.zero_share, 0.0, price)
        currency = np.where(usdc, 2, (t.side == BID).astype(np.int64))
        raw = pc.if_else(
            pa.array(usdc),
            number_text(np.round(price * 1e6).astype(np.int64)),
            joined(number_text(np.round(price * 1e8).astype(np.int64)), "0" * 10),
        )
        raw = pc.if_else(pa.array(price == 0), "0", raw)
        shown, currency = self._wrong_currency(price, currency, day)
        missing = rng.random(n) < c.missing_share
        venue = np.where(t.is_wash, 1 + (t.tx % 2), rng.choice(3, n, p=[0.6, 0.33, 0.07]))
        log = _ordinal(t.tx) * 2 + 1
        buyer, seller = (self.addresses.take(pa.array(of)) for of in (t.buyer, t.seller))
        columns = {
            **self.asset(t.collection, t.token),
            **self.chain_position(day, t.tx, t.time, log),
            **self.clocks(t.time, known_times(self.config, t.time, day, rng)),
            "price_raw": pc.if_else(pa.array(missing), None, raw),
            "price_native": pa.array(shown, mask=missing),
            "currency": pa.array(["ETH", "WETH", "USDC"]).take(pa.array(currency)),
            "currency_address": _CURRENCY_ADDRESSES.take(pa.array(currency)),
            "decimals": pa.array([18, 18, 6]).take(pa.array(currency)),
            "quantity": constant(1, pa.int64(), n),
            "n_in_tx": pa.array(t.n_in_tx),
            "is_bundle_share": pa.array(t.n_in_tx > 1),
            "side": pa.array(SIDES).take(pa.array(t.side)),
            "sale_type": constant("secondary", pa.string(), n),
            "marketplace": pa.array(_VENUES).take(pa.array(venue)),
            "buyer": buyer,
            "seller": seller,
            "fee_native": pa.array(shown * _FEE, mask=missing),
            "royalty_native": pa.array(shown * _ROYALTY, mask=missing),
            "buyer_fee_native": pa.array(shown * _BUYER_FEE, mask=missing | (venue != _VENUES.index("x2y2"))),
            **self.gas(day, t.tx, pc.if_else(pa.array(t.side == BID), seller, buyer)),
            "finalized": constant(True, pa.bool_(), n),
            **self.origin("sales", day, n),
        }
        rows = contract_rows(SALES, columns)
        return self._reorganised(self._reported_twice(rows, day, rng), n, t.time, day)

    def _wrong_currency(self, price: Floats, currency: Ints, day: int) -> tuple[Floats, Ints]:
        """The wrong_currency fault: ETH prices in wei, or called USDC."""
        for fault in self.config.active("wrong_currency", day):
            rng = fault_generator(self.config, fault, 0)
            struck = (rng.random(len(price)) < fault.magnitude) & (currency == 0)
            half = rng.random(len(price)) < 0.5
            price = np.where(struck & half, price * _WEI_PER_ETH, price)
            currency = np.where(struck & ~half, 2, currency)
        return price, currency

    def _reported_twice(self, rows: pa.Table, day: int, rng: np.random.Generator) -> pa.Table:
        """Duplicates: the same row again, or the same sale by a second source that lacks the log index."""
        share = self.config.calibration.duplicate_share
        by_other = np.flatnonzero(rng.random(rows.num_rows) < share / 2)
        again = np.flatnonzero(rng.random(rows.num_rows) < share / 2)
        for fault in self.config.active("duplicates", day):
            draw = fault_generator(self.config, fault, 0).random(rows.num_rows)
            again = np.union1d(again, np.flatnonzero(draw < fault.magnitude))
        exact = rows.take(pa.array(again))
        other = rows.take(pa.array(by_other))
        exact = _set(exact, "source_row", joined(exact.column("source_row").combine_chunks(), ":again"))
        n = len(by_other)
        other = _set(other, "source_row", joined(other.column("source_row").combine_chunks(), ":b"))
        other = _set(other, "source", constant(SECOND_SOURCE, pa.string(), n))
        other = _set(other, "log_index", constant(0, pa.int64(), n))
        for column in _NOT_BY_SECOND_SOURCE:
            other = _set(other, column, pa.nulls(n, other.schema.field(column).type))
        return pa.concat_tables([rows, exact, other])

    def _reorganised(self, rows: pa.Table, n: int, time: Ints, day: int) -> pa.Table:
        """The reorg fault: the day's last blocks (of the first n rows) are replaced, most come again."""
        for fault in self.config.active("reorg", day):
            lost = np.zeros(n, bool)
            lost[np.argsort(time, kind="stable")[n - int(n * min(fault.magnitude, 1.0)) :]] = True
            block = _FIRST_BLOCK + time // (_BLOCK_S * 1_000_000)
            new_hash = hex_text(salted(self.config.seed, 43, block), 32)
            back = np.flatnonzero(
                lost & (fault_generator(self.config, fault, 0).random(n) < _REORG_RETURN_SHARE)
            )
            again = rows.take(pa.array(back))
            again = _set(again, "block_hash", new_hash.take(pa.array(back)))
            again = _set(again, "source_row", joined(again.column("source_row").combine_chunks(), ":reorg"))
            known = again.column("known_at").cast(pa.int64())
            again = _set(again, "known_at", pc.add(known, _REORG_DELAY_US).cast(TIMESTAMP))
            originals, copies = rows.slice(0, n), rows.slice(n)
            originals = _set(originals, "superseded_by", pc.if_else(pa.array(lost), new_hash, None))
            originals = _set(originals, "finalized", pa.array(~lost))
            rows = pa.concat_tables([originals, copies, again])
        return rows

    def transfers(self, trades: Trades, day: int, rng: np.random.Generator) -> pa.Table:
        """Raw transfers of a day, one per movement."""
        n = len(trades.token)
        columns = {
            **self.asset(trades.collection, trades.token),
            **self.chain_position(day, trades.tx, trades.time, _ordinal(trades.tx) * 2),
            **self.clocks(trades.time, known_times(self.config, trades.time, day, rng)),
            "from_address": self.addresses.take(pa.array(trades.seller)),
            "to_address": self.addresses.take(pa.array(trades.buyer)),
            "quantity": constant(1, pa.int64(), n),
            "finalized": constant(True, pa.bool_(), n),
            "superseded_by": constant(None, pa.string(), n),
            **self.origin("transfers", day, n),
        }
        return contract_rows(TRANSFERS, columns)

    def listings(self, events: Orders, day: int, rng: np.random.Generator) -> pa.Table:
        """Raw order events of a day."""
        n = len(events)
        whole = events.token == ANY_TOKEN
        token = np.where(whole, self.universe.offsets[events.collection], events.token)
        asset = self.asset(events.collection, token)
        asset["token_id"] = pc.if_else(pa.array(whole), None, asset["token_id"])
        endless = pa.array(events.valid_until == NO_END)
        columns = {
            **asset,
            "order_id": joined("sim-", number_text(events.number)),
            "event_kind": pa.array(KINDS).take(pa.array(events.kind)),
            "side": pa.array(["ask", "bid"]).take(pa.array(events.is_bid.astype(np.int64))),
            "price_native": pa.array(np.maximum(np.round(np.exp(events.log_price), 8), 1e-8)),
            "currency": pa.array(["ETH", "WETH"]).take(pa.array(events.is_bid.astype(np.int64))),
            "maker": self.addresses.take(pa.array(events.maker)),
            "marketplace": constant(_VENUES[0], pa.string(), n),
            "valid_until": pc.if_else(endless, None, self.timestamps(events.valid_until)),
            **self.clocks(events.time, known_times(self.config, events.time, day, rng)),
            **self.origin("listings", day, n),
        }
        return contract_rows(LISTINGS, columns)

    def rates(self, eth_log: Floats, usdc: Floats, day: int, known: Ints) -> pa.Table:
        """Hourly rates of a day: the rate at each full hour, known at once."""
        hours = day * DAY_US + np.arange(24) * 3_600_000_000
        eth = np.exp(eth_log)
        n = 72
        columns = {
            "symbol": pa.array(["ETH", "WETH", "USDC"] * 24),
            "quote": constant("USD", pa.string(), n),
            "rate": pa.array(np.stack([eth, eth, usdc], axis=1).ravel()),
            "granularity": constant("hour", pa.string(), n),
            "event_time": self.timestamps(np.repeat(hours, 3)),
            "known_at": self.timestamps(np.repeat(known, 3)),
            **self.origin("exchange_rates", day, n),
        }
        return contract_rows(EXCHANGE_RATES, columns)


_CURRENCY_ADDRESSES = pa.array(
    [None, "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"]
)


def contract_rows(table: RawTable, columns: dict[str, pa.Array]) -> pa.Table:
    """Columns as rows of a raw table; what is not given is null."""
    rows = pa.table(columns)
    for column in table.columns:
        if column.name not in columns:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, column.dtype))
    return rows.select(table.names).cast(table.schema)


def _ordinal(tx: Ints) -> Ints:
    """Position of each row within its transaction, rows of one transaction standing together."""
    n = len(tx)
    starts = np.flatnonzero(np.append(True, tx[1:] != tx[:-1])) if n else np.zeros(0, np.int64)
    return np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))


def _set(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    where = rows.schema.get_field_index(name)
    return rows.set_column(where, rows.schema.field(where), values)
