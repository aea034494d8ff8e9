"""Bringing the store up to a block: which logs are asked for, in which order.

Here: the plan of a backfill. Not here: one range of a node (`sources.ethereum.fetching`), or what logs mean
(`sources.ethereum.decoders`).

A sale moves a token. So the movements of the watched contracts are read first, and the marketplaces are asked only
about blocks that moved a watched token, for the transactions that did. Ranges are read in parallel and written in
order; a process that ends in the middle goes on after the last range that it wrote.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sources.ethereum.chain import Block, Chain
from sources.ethereum.decoders.transactions import (
    MARKET_OF,
    MOVEMENT_EVENTS,
    SALE_EVENTS,
    WATCHED_EVENTS,
)
from sources.ethereum.fetching import FIRST_SPAN, Fetcher, LogFilter
from sources.ethereum.log import Log
from sources.ethereum.rpc import AnswerError
from sources.ethereum.store import Store

_T = TypeVar("_T")
_R = TypeVar("_R")
_LOG = logging.getLogger(__name__)
_REPORT_EVERY_S = 10.0
_SALES = LogFilter(tuple(MARKET_OF), SALE_EVENTS)


@dataclass(frozen=True)
class Range:
    """Blocks of some contracts, read together.

    Attributes:
        contracts: Watched contracts.
        first: First block.
        last: Last block.
    """

    contracts: tuple[str, ...]
    first: int
    last: int


class Reader:
    """Reads watched contracts into the store."""

    def __init__(self, chain: Chain, store: Store, fetcher: Fetcher, *, parallel: int = 1) -> None:
        """Read `parallel` ranges at a time."""
        self._chain = chain
        self._store = store
        self._fetcher = fetcher
        self._parallel = parallel

    def read(self, contracts: Sequence[str], first: int, last: int) -> int:
        """Bring the logs of the contracts up to block `last`; returns the ranges that were read.

        Raises:
            SourceError: Nodes do not answer, or not completely. What was read before is kept.
        """
        done = 0
        began = time.monotonic()
        reported = began
        total = sum(r.last - r.first + 1 for r in _plan(contracts, self._until(contracts, first), last))
        blocks_done = 0
        for one, blocks, logs in self._in_order(self._ranges(contracts, first, last), first, last):
            self._store.keep(one.contracts, one.last, blocks, logs)
            done += 1
            blocks_done += one.last - one.first + 1
            now = time.monotonic()
            if now - reported >= _REPORT_EVERY_S and blocks_done < total:
                reported = now
                left = (now - began) / blocks_done * (total - blocks_done)
                _LOG.warning("%s of %s blocks read, about %.0f s left", blocks_done, total, left)
        return done

    def _until(self, contracts: Sequence[str], first: int) -> dict[str, int]:
        held = self._store.read_until(contracts)
        return {contract: max(held.get(contract, first - 1), first - 1) for contract in contracts}

    def _ranges(self, contracts: Sequence[str], first: int, last: int) -> Iterator[Range]:
        """Pieces of the plan, as long as the provider answers well at the time."""
        for whole in _plan(contracts, self._until(contracts, first), last):
            low = whole.first
            while low <= whole.last:
                span = max(self._fetcher.spans.of(self._chain.rpc.current), FIRST_SPAN // 5)
                high = min(low + span - 1, whole.last)
                yield Range(whole.contracts, low, high)
                low = high + 1

    def _in_order(
        self, ranges: Iterator[Range], first: int, last: int
    ) -> Iterator[tuple[Range, list[Block], list[Log]]]:
        def one(piece: Range) -> tuple[Range, list[Block], list[Log]]:
            return piece, *self._fetch(piece, first, last)

        if self._parallel == 1:
            yield from map(one, ranges)
            return
        yield from _parallel(one, ranges, self._parallel)

    def _fetch(self, piece: Range, first: int, last: int) -> tuple[list[Block], list[Log]]:
        """Headers and logs of one range."""
        moves = LogFilter(piece.contracts, WATCHED_EVENTS)
        while True:
            moved, endpoints = self._fetcher.logs(moves, piece.first, piece.last)
            if not self._fetcher.set_aside_without_history(endpoints, first, last):
                break
        numbers = sorted({log.block_number for log in moved if log.event in MOVEMENT_EVENTS})
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(self._sales, numbers)
            blocks = self._chain.blocks([*(log.block_number for log in moved), piece.last])
            sales = under_way.result()
        moved = self._fetcher.completed(moves, moved, blocks.values())
        movements = [log for log in moved if log.event in MOVEMENT_EVENTS]
        # A block whose answer was not complete can turn out to hold movements.
        more = sorted({log.block_number for log in movements} - set(numbers))
        numbers += more
        if not numbers:
            return list(blocks.values()), moved
        sales = [*sales, *self._sales(more)]
        sales = self._fetcher.completed(_SALES, sales, [blocks[n] for n in sorted(numbers)])
        transactions = {log.tx_hash for log in movements}
        return list(blocks.values()), [*moved, *(log for log in sales if log.tx_hash in transactions)]

    def _sales(self, numbers: Sequence[int]) -> list[Log]:
        """The logs of marketplaces in blocks, near ones asked for together."""
        if not numbers:
            return []
        dense = numbers[-1] - numbers[0] + 1 <= 2 * len(numbers)
        if not dense:
            try:
                return self._fetcher.single_blocks(_SALES, numbers)
            except AnswerError:
                pass  # a provider that refuses one of many questions is asked for ranges
        chosen = set(numbers)
        found, _ = self._fetcher.logs(_SALES, numbers[0], numbers[-1])
        return [log for log in found if log.block_number in chosen]


def _plan(contracts: Sequence[str], until: dict[str, int], last: int) -> Iterator[Range]:
    """Ranges that are missing: contracts that are behind catch up first, then all go on together."""
    levels = sorted({block for block in until.values() if block < last})
    for level, following in zip(levels, [*levels[1:], last], strict=False):
        behind = tuple(c for c in contracts if until[c] <= level)
        yield Range(behind, level + 1, following)


def _parallel(do: Callable[[_T], _R], items: Iterator[_T], size: int) -> Iterator[_R]:
    """The results in the order of the items, `size` of them under way at a time."""
    with ThreadPoolExecutor(size) as pool:
        waiting: list[Future[_R]] = []
        try:
            for item in items:
                waiting.append(pool.submit(do, item))
                if len(waiting) >= size:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
