"""From trades and movements to rows of the raw contract.

Here: columns, currencies, prices, what goes to quarantine. Not here: decoding
(`sources.ethereum.decoders`), and the rules of the contract (`sources.validation`).

A bundle is a sale without a price of its own: a row for each token, `price_native` null. A swap, a trade in several
currencies or an accepted bid that is not known has no one price: quarantine, with the logs' values as payload.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sources.chains import COIN_OF
from sources.contract import BLOCKS, QUARANTINE, SALES, TRANSFERS, RawTable
from sources.contracts import collection_of
from sources.currencies import DECIMALS, SYMBOL_BY_SPELLING
from sources.ethereum.chain import Block, Standing
from sources.ethereum.decoders.trade import NATIVE, Movement, Trade, Unpriced
from sources.ethereum.log import Log
from sources.protocol import SourceBatch
from sources.validation import quarantine, validate

SOURCE = "ethereum"

_REASONS = {
    Unpriced.UNDECODABLE: ("undecodable_log", "a log that holds what its event promises"),
    Unpriced.SWAP: ("no_single_price", "tokens for money, not tokens for tokens"),
    Unpriced.SEVERAL_CURRENCIES: ("no_single_price", "one currency"),
    Unpriced.UNKNOWN_BID: ("no_single_price", "the accepted bid among the logs that were read"),
}
"""Why a trade cannot be a row → reason in quarantine and what was expected. A bundle is a row."""


@dataclass
class RowBuilder:
    """Collects rows of one chain.

    Attributes:
        chain: Name of the chain.
        watched: Contracts whose rows are wanted.
        window: Rows known from the first time on and before the second are wanted (unix seconds).
        now: Events after this time are in the future (UTC, naive).
    """

    chain: str
    watched: frozenset[str]
    window: tuple[int, int] = (0, 2**62)
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _refused: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._rows) + len(self._refused)

    def add_trades(self, logs: Sequence[Log], standing: Standing, trades: Sequence[Trade]) -> None:
        """The trades of one transaction, of watched contracts; those that cannot be decoded may be of one."""
        n_in_tx = len({(t.contract, t.token_id) for t in trades if t.contract})
        for trade in trades:
            if trade.contract and trade.contract not in self.watched:
                continue
            if not self._is_in_window(standing, trade):
                continue
            if trade.unpriced is None or trade.unpriced not in _REASONS:
                self._rows.append(self._sale(logs[0], standing, trade, n_in_tx))
            elif standing.replaced_by is None:  # what did not take place need not be understood
                self._refuse(logs, standing, trade)

    def add_movements(self, logs: Sequence[Log], standing: Standing, movements: Sequence[Movement]) -> None:
        """The movements of one transaction, of watched contracts."""
        for movement in movements:
            if movement.contract in self.watched and self._is_in_window(standing, movement):
                self._rows.append(
                    {
                        **self._common(logs[0], standing, movement),
                        "from_address": movement.giver,
                        "to_address": movement.receiver,
                        "quantity": _whole(movement.quantity),
                    }
                )

    def batch(self, table: RawTable) -> SourceBatch:
        """The rows so far, judged by the raw contract; the builder is empty afterwards."""
        rows, refused, self._rows, self._refused = self._rows, self._refused, [], []
        columns = [c for c in table.columns if rows and c.name in rows[0]]
        candidate = pa.table(
            {c.name: pa.array([row[c.name] for row in rows], c.dtype) for c in columns}
            if rows
            else {c.name: pa.array([], c.dtype) for c in table.columns}
        )
        judged = validate(table.name, candidate, now=self.now, undated_known_at=self.now)
        if not refused:
            return judged
        out = refused_rows(SALES.name, "price_native", refused)
        return SourceBatch(judged.rows, pa.concat_tables([judged.rejected, out]))

    def _is_in_window(self, standing: Standing, fact: Trade | Movement) -> bool:
        return self.window[0] <= standing.known_of(fact.log_index) < self.window[1]

    def _common(self, log: Log, standing: Standing, fact: Trade | Movement) -> dict[str, Any]:
        return {
            "chain": self.chain,
            "collection": collection_of(self.chain, fact.contract, fact.token_id),
            "contract": fact.contract,
            "token_id": str(fact.token_id),
            "tx_hash": log.tx_hash,
            "log_index": fact.log_index,
            "sub_index": fact.sub_index,
            "block_number": log.block_number,
            "block_hash": log.block_hash,
            "event_time": moment_of(standing.time),
            "time_uncertainty_s": 0.0,
            "known_at": moment_of(standing.known_of(fact.log_index)),
            "finalized": standing.final,
            "superseded_by": standing.replaced_by,
            "source": SOURCE,
            "source_row": f"{log.block_hash}:{fact.log_index}:{fact.sub_index}",
        }

    def _sale(self, log: Log, standing: Standing, trade: Trade, n_in_tx: int) -> dict[str, Any]:
        symbol = (
            COIN_OF[self.chain]
            if trade.currency == NATIVE
            else SYMBOL_BY_SPELLING.get(trade.currency.upper(), trade.currency)
        )
        decimals = DECIMALS.get(symbol)

        def units(amount: int | None) -> float | None:
            return None if amount is None or decimals is None else amount / 10**decimals

        return {
            **self._common(log, standing, trade),
            "price_raw": None if trade.price is None else str(trade.price),
            "price_native": units(trade.price),
            "currency": symbol,
            "currency_address": None if trade.currency == NATIVE else trade.currency,
            "decimals": decimals,
            "quantity": _whole(trade.quantity),
            "n_in_tx": n_in_tx,
            "is_bundle_share": trade.unpriced is Unpriced.BUNDLE,
            "side": trade.side,
            "sale_type": "secondary",
            "marketplace": trade.marketplace,
            "buyer": trade.buyer,
            "seller": trade.seller,
            "fee_native": units(trade.fee),
            "royalty_native": units(trade.royalty),
        }

    def _refuse(self, logs: Sequence[Log], standing: Standing, trade: Trade) -> None:
        assert trade.unpriced is not None
        reason, expected = _REASONS[trade.unpriced]
        log = next((g for g in logs if g.log_index == trade.log_index), logs[0])
        self._refused.append(
            {
                "source_row": f"{log.block_hash}:{trade.log_index}:{trade.sub_index}",
                "reason": reason,
                "expected": expected,
                "found": trade.detail or str(trade.unpriced),
                "payload": json.dumps(
                    {**asdict(trade), "token_id": str(trade.token_id), "log": log_as_json(log)}, default=str
                ),
                "known_at": moment_of(standing.known_of(trade.log_index)),
            }
        )


def manifest_rows(chain: str, blocks: Iterable[tuple[Block, Standing, int | None, int]]) -> pa.Table:
    """Rows of `raw.blocks`: one for each (header, standing, logs of the whole block, logs that are kept)."""
    rows = [
        {
            "chain": chain,
            "block_number": block.number,
            "block_hash": block.hash,
            "parent_hash": block.parent,
            "logs_bloom": f"0x{block.bloom:0512x}",
            "n_logs": n_logs,
            "n_kept_logs": n_kept,
            "event_time": moment_of(standing.time),
            "time_uncertainty_s": 0.0,
            "known_at": moment_of(standing.known),
            "finalized": standing.final,
            "superseded_by": standing.replaced_by,
            "source": SOURCE,
            "source_row": block.hash,
        }
        for block, standing, n_logs, n_kept in blocks
    ]
    return pa.Table.from_pylist(rows, schema=BLOCKS.schema)


def moment_of(seconds: int) -> datetime:
    """Unix seconds as a time in UTC, naive."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def log_as_json(log: Log) -> dict[str, Any]:
    """A log as it is kept with a row that was refused."""
    return {**asdict(log), "data": "0x" + log.data.hex()}


def refused_rows(table: str, column: str, refused: Sequence[dict[str, Any]]) -> pa.Table:
    """Quarantine rows of a table: source_row, reason, expected, found, payload and known_at of each."""

    def texts(name: str) -> pa.Array:
        return pa.array([row[name] for row in refused], pa.string())

    return quarantine(
        table,
        source=pa.array([SOURCE] * len(refused), pa.string()),
        source_row=texts("source_row"),
        reason=texts("reason"),
        column_name=pa.array([column] * len(refused), pa.string()),
        expected=texts("expected"),
        found=texts("found"),
        payload=texts("payload"),
        known_at=pa.array([row["known_at"] for row in refused], QUARANTINE.schema.field("known_at").type),
    )


def _whole(quantity: int) -> int:
    """A quantity as the contract keeps it: 64 bits hold it, or the largest number that they do."""
    return min(quantity, 2**63 - 1)


TABLES = {SALES.name: SALES, TRANSFERS.name: TRANSFERS}
"""Raw tables that come from logs."""
