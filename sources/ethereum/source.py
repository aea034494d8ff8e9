"""An Ethereum chain as a `Source`: sales and movements of watched contracts up to the finalized head.

Here: windows of known time over the store. Not here: reading the chain (`sources.ethereum.reading`), what logs mean
(`sources.ethereum.decoders`).

Known at: the time of the block, when everybody could know. Only finalized blocks are read, so no reorganisation
replaces a row; a sale arrives 13 minutes or so after it happened. Blocks before finality are not read yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from sources.chains import CHAINS
from sources.contract import COLLECTIONS, raw_table
from sources.contracts import shared_contract
from sources.ethereum.chain import Block, Chain, ChainError
from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.transactions import decode
from sources.ethereum.fetching import Fetcher, Spans
from sources.ethereum.names import contract_name
from sources.ethereum.reading import Reader
from sources.ethereum.rows import SOURCE, TABLES, RowBuilder
from sources.ethereum.rpc import Rpc
from sources.ethereum.store import Store
from sources.protocol import SourceBatch, SourceError
from sources.validation import validate

_BATCH_ROWS = 50_000
_SPANS = "spans"


class EthereumSource:
    """Watched contracts on one chain."""

    name = SOURCE

    def __init__(
        self,
        rpc: Rpc,
        contracts: Sequence[str],
        *,
        start: str,
        cache: Path,
        chain: str = "ethereum",
        confirmations: int = 65,
        parallel: int = 1,
    ) -> None:
        """Describe what is watched; the node is asked when the source is first read.

        Args:
            rpc: Nodes of the chain.
            contracts: Addresses of the watched contracts, lower case.
            start: First day (ISO 8601) or first block (a number).
            cache: Folder of the store.
            chain: Name of the chain.
            confirmations: Blocks behind the newest one that count as final where a node knows no `finalized`.
            parallel: Ranges read at a time.
        """
        self._rpc = rpc
        self._contracts = tuple(contracts)
        self._start = start
        self._chain_name = chain
        self._chain = Chain(rpc, confirmations)
        self._cache = cache
        self._parallel = parallel
        self._read_to = -1

    @cached_property
    def _store(self) -> Store:
        return Store(self._cache / f"{self._chain_name}.sqlite")

    @cached_property
    def _spans(self) -> Spans:
        held = json.loads(self._store.note(_SPANS) or "{}")
        return Spans(blocks=held.get("blocks", {}), most=held.get("most", {}))

    @cached_property
    def _head(self) -> Block:
        """The finalized head. Asked once: all windows of one run end at the same block."""
        expected = next(c.ids for c in CHAINS if c.name == self._chain_name)
        found = self._chain.chain_id()
        if found not in expected:
            raise ChainError(
                f"expected nodes of {self._chain_name} (chain {', '.join(map(str, expected))}), found chain {found}"
            )
        head = self._chain.finalized()
        kept = self._store.newest_block()
        if kept is not None and kept[0] <= head.number:
            there = self._chain.block(kept[0])
            if there.hash != kept[1]:
                raise ChainError(
                    f"expected block {kept[0]} to be {kept[1]}, which was final when it was read, found "
                    f"{there.hash}: the node is of another chain, or {self._cache} belongs to another one"
                )
        return head

    @cached_property
    def _first(self) -> Block:
        """The block from which the chain is read."""
        note = f"first block of {self._start}"
        held = self._store.note(note)
        if held is not None:
            return self._chain.block(int(held))
        if self._start.isdigit():
            number = int(self._start)
        else:
            moment = datetime.fromisoformat(self._start).replace(tzinfo=UTC)
            number = self._chain.first_at(int(moment.timestamp()), 0, self._head.number)
        if number > self._head.number:
            raise SourceError(
                f"expected a start before the finalized head (block {self._head.number}, "
                f"{self._head.moment:%Y-%m-%d %H:%M}), found {self._start}"
            )
        self._store.keep_note(note, str(number))
        return self._chain.block(number)

    def watermark(self) -> datetime:
        """The time of the finalized head. Its own rows wait for the next one, which may have the same time."""
        return max(self._head.moment, self.first_known())

    def first_known(self) -> datetime:
        """The time of the first block that is read."""
        return self._first.moment

    def read(self, table: str, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        """Rows of a raw table with start <= known_at < end, in known order; never past the watermark.

        Raises:
            UnknownTableError: If the contract has no such table.
            SourceError: Nodes do not answer, or not completely. What was read before is kept.
        """
        raw_table(table)
        end = min(end, self.watermark())
        if start >= end:
            return
        if table == COLLECTIONS.name:
            yield from self._collections(start, end)
        elif table in TABLES:
            self._bring_up_to_date()
            yield from self._decoded(table, _seconds(start), _seconds(end))

    def left_out(self) -> list[str]:
        """What a user should know about what is not read."""
        return [
            f"{self._chain_name}: blocks after the finalized head ({self._head.moment:%Y-%m-%d %H:%M} UTC) "
            "are not read yet"
        ]

    def _bring_up_to_date(self) -> None:
        """Read what is missing up to the finalized head, once in a process."""
        if self._read_to >= self._head.number:
            return
        reader = Reader(self._chain, self._store, Fetcher(self._chain, self._spans), parallel=self._parallel)
        try:
            reader.read(self._contracts, self._first.number, self._head.number)
        finally:
            self._store.keep_note(
                _SPANS, json.dumps({"blocks": self._spans.blocks, "most": self._spans.most})
            )
        self._read_to = self._head.number

    def _decoded(self, table: str, start: int, end: int) -> Iterator[SourceBatch]:
        bids: cryptopunks.Bids = {}
        if cryptopunks.ADDRESS in self._contracts:
            cryptopunks.follow_bids(bids, self._store.logs_of(cryptopunks.ADDRESS, start))
        builder = RowBuilder(self._chain_name, frozenset(self._contracts))
        for time, logs in self._store.transactions(start, end):
            decoded = decode(logs, bids)
            if table == "sales":
                builder.add_trades(logs, time, decoded.trades)
            else:
                builder.add_movements(logs, time, decoded.movements)
            if len(builder) >= _BATCH_ROWS:
                yield builder.batch(TABLES[table])
        if len(builder):
            yield builder.batch(TABLES[table])

    def _collections(self, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        known_at = self.first_known()
        if not start <= known_at < end:
            return
        # A shared contract is no collection: its projects are known by their sales.
        contracts = [c for c in self._contracts if shared_contract(self._chain_name, c) is None]
        rows = {
            "chain": [self._chain_name] * len(contracts),
            "collection": contracts,
            "contract": contracts,
            "name": [contract_name(self._rpc, self._store, c) for c in contracts],
            "known_at": [known_at] * len(contracts),
            "source": [SOURCE] * len(contracts),
            "source_row": [f"watched:{c}" for c in contracts],
        }
        columns = {c.name: pa.array(rows[c.name], c.dtype) for c in COLLECTIONS.columns if c.name in rows}
        yield validate(
            COLLECTIONS.name,
            pa.table(columns),
            now=max(datetime.now(UTC).replace(tzinfo=None), known_at),
            undated_known_at=known_at,
        )


def _seconds(moment: datetime) -> int:
    """Unix seconds of a time, rounded up: a block within the second before it is before it."""
    exact = moment.replace(tzinfo=UTC).timestamp()
    return int(exact) + (exact % 1 > 0)
