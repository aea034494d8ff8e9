"""An Ethereum chain as a `Source`: sales and movements of watched contracts, and the blocks that hold them.

Here: windows of known time over the store. Not here: reading the chain (`sources.ethereum.reading` for final blocks,
`sources.ethereum.recent` for those after them), what logs mean (`sources.ethereum.decoders`).

Known at: the time of the block, when everybody could know. What replaced another block, or came later than the rest of
its block, is known at the time of the head with which it was found; the rows of the replaced block stay, superseded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path

from sources.contract import BLOCKS, COLLECTIONS, EXCHANGE_RATES, TOKEN_TRAITS, raw_table
from sources.ethereum.bounds import FinalHead, final_head, first_block
from sources.ethereum.chain import Block, Chain, Standing
from sources.ethereum.decoders import cryptopunks
from sources.ethereum.decoders.transactions import Decoded, decode
from sources.ethereum.fetching import Fetcher, Spans
from sources.ethereum.log import Log
from sources.ethereum.metadata.reading import MetadataOptions, MetadataReader
from sources.ethereum.metadata.rows import trait_batches
from sources.ethereum.most_traded import WatchList, watch_list
from sources.ethereum.names import collection_rows
from sources.ethereum.rates import Aggregator, find_aggregators, rate_batches
from sources.ethereum.reading import Reader
from sources.ethereum.recent import FINALIZED, RecentReader
from sources.ethereum.reorg import believe, incidents, provisional_blocks
from sources.ethereum.rows import SOURCE, TABLES, RowBuilder, manifest_rows, moment_of
from sources.ethereum.rpc import Rpc
from sources.ethereum.store import Store
from sources.protocol import Incident, SourceBatch
from sources.validation import validate

_BATCH_ROWS = 50_000
_SPANS = "spans"


def _wall_clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


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
        head: str = FINALIZED,
        confirmations: int = 65,
        parallel: int = 1,
        metadata: MetadataOptions | None = None,
        feeds: Mapping[str, str] | None = None,
        most_traded: tuple[int, int] | None = None,
        now: Callable[[], datetime] = _wall_clock,
    ) -> None:
        """Describe what is watched; the node is asked when the source is first read.

        Args:
            rpc: Nodes of the chain.
            contracts: Addresses of the watched contracts, lower case.
            start: First day (ISO 8601) or first block (a number).
            cache: Folder of the store.
            chain: Name of the chain.
            head: Up to where it is read: finalized, safe or latest.
            confirmations: Blocks behind the newest one that count as final where a node knows no `finalized`.
            parallel: Ranges read at a time.
            metadata: How tokens are asked for their traits; None: they are not.
            feeds: Symbol → proxy of its price feed in dollars; None: no rates are read.
            most_traded: How many of the most traded contracts are watched, too, and of how many days; None: none.
            now: The current time (UTC, naive).
        """
        self._rpc = rpc
        self._configured = tuple(contracts)
        self._most_traded = most_traded
        self._start = start
        self._chain_name = chain
        self._chain = Chain(rpc, confirmations)
        self._head_tag = head
        self._cache = cache
        self._parallel = parallel
        self._metadata_options = metadata
        self._metadata_read = False
        self._feeds = feeds or {}
        self._now = now
        self._read_to = -1

    @cached_property
    def _store(self) -> Store:
        return Store(self._cache / f"{self._chain_name}.sqlite")

    @cached_property
    def _metadata(self) -> MetadataReader | None:
        options = self._metadata_options
        return None if options is None else MetadataReader(self._rpc, self._store, self._chain_name, options)

    @cached_property
    def _watch(self) -> WatchList:
        """The contracts that are watched, and were."""
        return watch_list(
            self._chain, self._store, Fetcher(self._chain, self._spans), self._chain_name,
            self._configured, self._most_traded, self._head,
        )  # fmt: skip

    @cached_property
    def _aggregators(self) -> list[Aggregator]:
        return find_aggregators(self._rpc, self._store, self._feeds) if self._feeds else []

    @cached_property
    def _spans(self) -> Spans:
        held = json.loads(self._store.note(_SPANS) or "{}")
        return Spans(blocks=held.get("blocks", {}), most=held.get("most", {}))

    @cached_property
    def _final(self) -> FinalHead:
        """The finalized head. Asked once: all windows of one run end at the same block."""
        return final_head(self._chain, self._store, self._chain_name, self._seconds_now)

    @property
    def _head(self) -> Block:
        return self._final.block

    @cached_property
    def _read_until(self) -> int:
        """Time (unix seconds) of the newest block of this run. The blocks that are not final are read for it."""
        final = self._head
        if self._final.is_doubted:
            return max(final.time, self._store.newest_known() or 0)
        if self._head_tag == FINALIZED and not provisional_blocks(self._store):
            believe(self._store, self._seconds_now)
            return final.time
        recent = RecentReader(
            self._chain,
            self._store,
            Fetcher(self._chain, self._spans),
            self._watch.now,
            parallel=self._parallel,
        )
        newest = recent.read(self._head_tag, final, self._first.number, self._seconds_now)
        return max(newest, self._store.newest_known() or 0)

    @property
    def _seconds_now(self) -> int:
        return _seconds(self._now())

    @cached_property
    def _first(self) -> Block:
        """The block from which the chain is read."""
        return first_block(self._chain, self._store, self._start, self._head)

    def watermark(self) -> datetime:
        """What was known before this time can be read.

        The time of the finalized head, whose own rows wait for the next one, which may have the same time; with blocks
        that are not final, a second after the newest one, so that a replacement never waits.
        """
        second = 0 if self._head_tag == FINALIZED else 1
        return max(moment_of(self._read_until + second), self.first_known())

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
        elif table == TOKEN_TRAITS.name:
            yield from self._traits(start, end)
        elif table == EXCHANGE_RATES.name and self._aggregators:
            self._bring_up_to_date()
            known = (_seconds(start), _seconds(end))
            yield from rate_batches(self._store, self._aggregators, *known, self._latest_time)
        elif table in TABLES:
            self._bring_up_to_date()
            yield from self._decoded(table, _seconds(start), _seconds(end))
        elif table == BLOCKS.name:
            self._bring_up_to_date()
            rows = manifest_rows(self._chain_name, self._store.manifest(_seconds(start), _seconds(end)))
            if rows.num_rows:
                yield validate(table, rows, now=self._latest_time, undated_known_at=self._latest_time)

    def left_out(self) -> list[str]:
        """What a user should know about what is not read."""
        lines = []
        if self._head_tag == FINALIZED:
            lines.append(
                f"{self._chain_name}: blocks after the finalized head ({self._head.moment:%Y-%m-%d %H:%M} UTC) "
                "are not read"
            )
        if self._metadata is not None:
            waiting, problem = self._metadata.tokens.unreachable()
            if waiting:
                lines.append(
                    f"{self._chain_name}: {waiting:,} tokens wait for their traits, because no server gives their "
                    f"metadata ({problem})"
                )
        return lines

    def incidents(self) -> list[Incident]:
        """Reorganisations, and answers of nodes that were not believed."""
        return incidents(self._store)

    @property
    def _latest_time(self) -> datetime:
        """Events after this time are in the future: our clock, or the chain's if it is ahead."""
        return max(self._now(), self.watermark())

    def _bring_up_to_date(self) -> None:
        """Read what is missing up to the finalized head, once in a process."""
        if self._read_to >= self._head.number:
            return
        reader = Reader(self._chain, self._store, Fetcher(self._chain, self._spans), parallel=self._parallel)
        try:
            feeds = [one.address for one in self._aggregators]
            reader.read([*self._watch.now, *feeds], self._first.number, self._head.number)
        finally:
            self._store.keep_note(
                _SPANS, json.dumps({"blocks": self._spans.blocks, "most": self._spans.most})
            )
        self._read_to = self._head.number

    def _decoded(self, table: str, start: int, end: int) -> Iterator[SourceBatch]:
        """Rows of blocks that stand, then those of replaced ones."""
        watched = frozenset(self._watch.now) | self._watch.left
        builder = RowBuilder(self._chain_name, watched, (start, end), now=self._latest_time)
        for standing, logs, decoded in chain(
            self._facts(start, end, replaced=False), self._facts(start, end, replaced=True)
        ):
            if table == "sales":
                # Trades of a contract that was left are kept with those of others: its movements say whether it was
                # watched then.
                moved = {m.contract for m in decoded.movements} if self._watch.left else frozenset[str]()
                trades = [
                    t for t in decoded.trades if t.contract not in self._watch.left or t.contract in moved
                ]
                builder.add_trades(logs, standing, trades)
            else:
                builder.add_movements(logs, standing, decoded.movements)
            if len(builder) >= _BATCH_ROWS:
                yield builder.batch(TABLES[table])
        if len(builder):
            yield builder.batch(TABLES[table])

    def _facts(
        self, start: int, end: int, *, replaced: bool
    ) -> Iterator[tuple[Standing, list[Log], Decoded]]:
        bids: cryptopunks.Bids = {}
        block_hash = ""
        for standing, logs in self._store.transactions(start, end, replaced=replaced):
            if not block_hash or (replaced and logs[0].block_hash != block_hash):
                bids = self._bids_before(logs[0], start, end, replaced=replaced)
            block_hash = logs[0].block_hash
            yield standing, logs, decode(logs, bids)

    def _bids_before(self, log: Log, start: int, end: int, *, replaced: bool) -> cryptopunks.Bids:
        """The open bids on punks before the block of a log, of its own branch."""
        bids: cryptopunks.Bids = {}
        if cryptopunks.ADDRESS in {*self._watch.now, *self._watch.left}:
            low, branch = self._store.first_block(start, end), list[str]()
            if replaced:
                low, branch = self._store.replaced_ancestors(log.block_hash)
            cryptopunks.follow_bids(bids, self._store.logs_of(cryptopunks.ADDRESS, low, branch))
        return bids

    def _collections(self, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        known_at = self.first_known()
        if start <= known_at < end:
            contracts = (*self._watch.now, *sorted(self._watch.left))
            rows = collection_rows(self._rpc, self._store, self._chain_name, contracts, known_at)
            yield validate(COLLECTIONS.name, rows, now=self._latest_time, undated_known_at=known_at)

    def _traits(self, start: datetime, end: datetime) -> Iterator[SourceBatch]:
        if self._metadata is None:
            return
        self._bring_up_to_date()
        if not self._metadata_read:
            self._metadata_read = True
            self._metadata.read(
                self._watch.now, self._head.number, known=self._read_until, now=self._seconds_now
            )
        facts = self._metadata.tokens.facts(_seconds(start), _seconds(end))
        yield from trait_batches(self._chain_name, facts, self._latest_time)


def _seconds(moment: datetime) -> int:
    """Unix seconds of a time, rounded up: a block within the second before it is before it."""
    exact = moment.replace(tzinfo=UTC).timestamp()
    return int(exact) + (exact % 1 > 0)
