"""Reading the blocks that are not final yet.

Here: which blocks are asked for, and whether what nodes answer is believed. Not here: replacing blocks in the store
(`sources.ethereum.reorg`), final blocks (`sources.ethereum.reading`).

At each reading: the head; the headers from the newest final block to it, each of them the parent of the next one; the
logs of each new block, whole and by its hash. A head that goes backwards, headers that do not fit together, or fewer
logs than a bloom proves or a node answered before are asked of every node. When none gives better, nothing is changed
and an incident is noted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sources.ethereum.bloom import may_hold
from sources.ethereum.chain import Block, Chain, ChainError
from sources.ethereum.decoders.transactions import (
    MARKET_OF,
    MOVEMENT_EVENTS,
    SALE_EVENTS,
    WATCHED_EVENTS,
)
from sources.ethereum.fetching import Fetcher, IncompleteError, LogFilter
from sources.ethereum.log import Log
from sources.ethereum.reorg import BlockReading, Provisional, doubt, provisional_blocks, write
from sources.ethereum.rpc import AnswerError
from sources.ethereum.store import Store

_SALES = LogFilter(tuple(MARKET_OF), SALE_EVENTS)
FINALIZED = "finalized"
"""The head after which no block can be replaced."""
_CONTRACTS = "contracts of blocks that are not final"


class RecentReader:
    """Reads the blocks after the newest final one into the store."""

    def __init__(
        self, chain: Chain, store: Store, fetcher: Fetcher, contracts: Sequence[str], *, parallel: int = 1
    ) -> None:
        """Read the logs of these contracts, and of their sales, `parallel` blocks at a time."""
        self._chain = chain
        self._store = store
        self._fetcher = fetcher
        self._moves = LogFilter(tuple(contracts), WATCHED_EVENTS)
        self._parallel = parallel

    def read(self, tag: str, final: Block, first: int, now: int) -> int:
        """Bring the blocks after `final` up to the head; returns the time of the newest block that is held.

        Args:
            tag: Name of the head: latest or safe; finalized: no further than was read before.
            final: The newest final block.
            first: Lowest block that is wanted.
            now: Unix seconds of our clock.

        Raises:
            NodeUnavailableError: No node answers.
        """
        held = provisional_blocks(self._store)
        try:
            return self._read(tag, final, first, now, held)
        except (ChainError, IncompleteError, AnswerError) as error:
            doubt(self._store, str(error), now)
        if not held:
            return final.time
        newest = self._store.con.execute(
            "select max(time) from blocks where replaced_by is null and not final"
        ).fetchone()
        return max(final.time, int(newest[0]))

    def _read(self, tag: str, final: Block, first: int, now: int, held: dict[int, Provisional]) -> int:
        newest = max(held, default=0)
        # Without a head of its own, what was read before is followed until it is final.
        head = self._chain.block(newest) if tag == FINALIZED else self._chain.head(tag, newest)
        if head.number < newest:
            raise ChainError(
                f"expected a head at block {newest} ({held[newest].hash}) or later, found {head.number} ({head.hash}) "
                f"at best, of {', '.join(self._chain.rpc.names)}: the nodes lag behind, or the chain went back. "
                "Nothing is withdrawn before there are blocks in its place"
            )
        blocks = self._linked(head, final, first, [n for n in held if n <= final.number])
        finals = [n for n in held if n <= final.number]
        contracts = json.dumps(sorted(self._moves.addresses))
        new_contracts = self._store.note(_CONTRACTS) != contracts
        wanted = [
            block
            for block in blocks
            if new_contracts
            or (old := held.get(block.number)) is None
            or old.hash != block.hash
            or block.number <= final.number
            or old.checks_at(now) > old.checks
        ]
        with ThreadPoolExecutor(self._parallel) as pool:
            readings = list(pool.map(lambda b: self._whole(b, held.get(b.number)), wanted))
        known = max(head.time, self._store.newest_known() or 0)
        write(self._store, readings, finals=finals, known=known, now=now, new_contracts=new_contracts)
        if new_contracts:
            self._store.keep_note(_CONTRACTS, contracts)
        return head.time

    def _linked(self, head: Block, final: Block, first: int, old: Sequence[int]) -> list[Block]:
        """The blocks after `final` up to the head, each the parent of the next, and final ones that are asked for.

        Raises:
            ChainError: They do not lead to the final block.
        """
        low = max(final.number + 1, first)
        if head.number < low:
            return [b for _, b in sorted(self._chain.blocks(old).items())] if old else []
        found = self._chain.blocks([*old, *range(low, head.number)])
        found[head.number] = head
        for number in range(head.number - 1, low - 1, -1):
            parent = found[number + 1].parent
            if found[number].hash != parent:
                # The answers are of two branches: the parent is asked for by its hash.
                found[number] = self._chain.by_hash(parent)
        if low == final.number + 1 and found[low].parent != final.hash:
            raise ChainError(
                f"expected block {low} ({found[low].hash}) to follow the final block {final.hash}, found the parent "
                f"{found[low].parent}: a node is of another branch, or changed its mind about what is final"
            )
        return [block for _, block in sorted(found.items())]

    def _whole(self, block: Block, known: Provisional | None) -> BlockReading:
        if not may_hold(block.bloom, self._moves.addresses, self._moves.events):
            return BlockReading(block, (), 0 if not block.bloom else None)
        before = known.n_logs if known is not None and known.hash == block.hash else None
        logs = self._fetcher.whole_block(block, at_least=before or 0)
        moved = {log.tx_hash for log in logs if self._moves.holds(log) and log.event in MOVEMENT_EVENTS}
        kept = [g for g in logs if self._moves.holds(g) or (g.tx_hash in moved and _SALES.holds(g))]
        return BlockReading(block, _in_order(kept), len(logs))


def _in_order(logs: Sequence[Log]) -> list[Log]:
    return sorted(logs, key=lambda log: log.log_index)
