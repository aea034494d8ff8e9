"""Logs of a range of blocks, whatever a provider allows, and never fewer than there are.

Here: splitting ranges by the errors that a provider gives, remembering what worked, and proving that an answer is
complete. Not here: where logs are kept (`sources.ethereum.store`).

Why proofs: a pruned or lagging node, or one whose index has a gap, answers `[]` without an error. A header's bloom says
which logs a block can have. Where the bloom allows a log that the answer lacks, the block is asked for by its hash,
whole, and what comes must explain every bit of the header's bloom.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sources.ethereum.bloom import bloom_of, may_hold
from sources.ethereum.chain import Block, Chain
from sources.ethereum.log import Log, log_from_json
from sources.ethereum.rpc import AnswerError, NodeUnavailableError, Rpc
from sources.protocol import SourceError

FIRST_SPAN = 500
"""Blocks of the first request to a provider that is not known yet."""

MOST_BLOCKS = 50_000
"""Blocks of one request, at most."""

MOST_LOGS = 10_000
"""Logs of one answer that are aimed at: what is held in memory does not grow with what a node would give."""

_SAMPLES = 8
"""Blocks, spread over a range, whose blooms are read to find one with logs near each end."""

_GROW_AFTER = 4
_RANGE_SHOULD_BE = re.compile(r"\[?(0x[0-9a-f]+)\s*,\s*(0x[0-9a-f]+)\]?", re.IGNORECASE)
_BLOCKS_AT_MOST = re.compile(r"(\d[\d,_]*)\s*(?:-\s*)?block", re.IGNORECASE)


class IncompleteError(SourceError):
    """Nodes answer fewer logs than the chain has; the message names the block and what to do."""

    exit_code = 1


@dataclass(frozen=True)
class LogFilter:
    """Which logs are wanted: any of the addresses, with any of the events."""

    addresses: tuple[str, ...]
    events: tuple[str, ...]

    def holds(self, log: Log) -> bool:
        """Whether a log is one of them."""
        return log.address in self.addresses and log.event in self.events

    def in_range(self, first: int, last: int) -> dict[str, Any]:
        """The parameter of `eth_getLogs`."""
        return {
            "address": list(self.addresses),
            "topics": [list(self.events)],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }


@dataclass
class Spans:
    """How many blocks each provider answers at once, as learnt from its errors.

    Attributes:
        blocks: Endpoint → blocks of the next request.
        most: Endpoint → blocks that it once named as its limit.
    """

    blocks: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    _streak: dict[str, int] = field(default_factory=dict)

    def of(self, endpoint: str) -> int:
        """Blocks to ask this endpoint for."""
        return self.blocks.get(endpoint, FIRST_SPAN)

    def worked(self, endpoint: str, asked: int, found: int = 0) -> None:
        """A request was answered with so many logs: after some of them, try more blocks, or fewer at once."""
        if found > MOST_LOGS:
            self.blocks[endpoint] = max(min(asked * MOST_LOGS // found, self.of(endpoint)), 1)
        if asked < self.of(endpoint) or 2 * found > MOST_LOGS:
            self._streak[endpoint] = 0
            return
        self._streak[endpoint] = self._streak.get(endpoint, 0) + 1
        if self._streak[endpoint] >= _GROW_AFTER:
            self._streak[endpoint] = 0
            limit = min(self.most.get(endpoint, MOST_BLOCKS), MOST_BLOCKS)
            self.blocks[endpoint] = min(self.of(endpoint) * 2, limit)

    def refused(self, endpoint: str, text: str, asked: int) -> None:
        """A request was refused: by the number in the text if it has one, else half."""
        named = _named_limit(text)
        if named is not None and named < asked:
            self.most[endpoint] = self.blocks[endpoint] = named
        else:
            self.blocks[endpoint] = max(asked // 2, 1)
        self._streak[endpoint] = 0


class Fetcher:
    """Logs from the nodes of a chain."""

    def __init__(self, chain: Chain, spans: Spans) -> None:
        """Ask the nodes of `chain`, beginning with the spans that worked before."""
        self._chain = chain
        self._rpc: Rpc = chain.rpc
        self.spans = spans
        self._held: dict[str, tuple[int, int]] = {}

    def logs(self, wanted: LogFilter, first: int, last: int) -> tuple[list[Log], set[str]]:
        """The logs that nodes answer for these blocks, in their order, and the nodes that answered.

        Raises:
            AnswerError: A single block is refused.
            IncompleteError: An answer has logs that were not asked for.
        """
        found: list[Log] = []
        endpoints: set[str] = set()
        pending = [(first, last)]
        while pending:
            low, high = pending.pop()
            span = self.spans.of(self._rpc.current)
            if high - low + 1 > span:
                pending.append((low + span, high))
                high = low + span - 1
            try:
                answer = self._rpc.ask("eth_getLogs", wanted.in_range(low, high))
            except AnswerError as error:
                if low == high:
                    answer = self._from_others(wanted, low, error)
                else:
                    self.spans.refused(error.endpoint, error.text, high - low + 1)
                    pending.append((low, high))
                    continue
            logs = _read(answer.result, answer.endpoint, wanted, low, high)
            self.spans.worked(answer.endpoint, high - low + 1, len(logs))
            found += logs
            endpoints.add(answer.endpoint)
        return found, endpoints

    def _from_others(self, wanted: LogFilter, number: int, first_error: AnswerError) -> Any:
        """One block that an endpoint refuses, from another endpoint."""
        for name in self._rpc.names:
            if name != first_error.endpoint:
                try:
                    return self._rpc.ask("eth_getLogs", wanted.in_range(number, number), endpoint=name)
                except (AnswerError, NodeUnavailableError):
                    continue  # the first error says it for all
        raise first_error

    def single_blocks(self, wanted: LogFilter, numbers: Sequence[int]) -> list[Log]:
        """The logs of single blocks, many questions in one request."""
        answers = self._rpc.batch("eth_getLogs", [[wanted.in_range(n, n)] for n in numbers])
        return [
            log
            for number, answer in zip(numbers, answers, strict=True)
            for log in _read(answer, "a node", wanted, number, number)
        ]

    def completed(self, wanted: LogFilter, logs: Sequence[Log], blocks: Iterable[Block]) -> list[Log]:
        """The logs, with those of blocks whose answer was not complete.

        Args:
            wanted: What was asked for.
            logs: What was answered.
            blocks: Headers of the blocks to check; logs of other blocks are not checked.

        Raises:
            IncompleteError: No node has the logs that a block's bloom proves, or the logs are of another block.
        """
        of_block: dict[int, list[Log]] = {}
        for log in logs:
            of_block.setdefault(log.block_number, []).append(log)
        for block in blocks:
            mine = of_block.get(block.number, [])
            is_of_block = all(log.block_hash == block.hash for log in mine)
            if mine and is_of_block:
                continue
            if not is_of_block or may_hold(block.bloom, wanted.addresses, wanted.events):
                of_block[block.number] = [log for log in self.whole_block(block) if wanted.holds(log)]
        return sorted(
            (log for some in of_block.values() for log in some), key=lambda g: (g.block_number, g.log_index)
        )

    def whole_block(self, block: Block, endpoint: str | None = None, *, at_least: int = 0) -> list[Log]:
        """All logs of a block, proven by its bloom and by their positions, which have no gap.

        Args:
            block: Its header.
            endpoint: Ask only this one; default: each in turn.
            at_least: How many logs a node answered before.

        Raises:
            IncompleteError: No node has them all.
        """
        problems = []
        for name in self._rpc.names if endpoint is None else [endpoint]:
            try:
                answer = self._rpc.call("eth_getLogs", {"blockHash": block.hash}, endpoint=name)
                logs = _read(answer, name, None, block.number, block.number)
            except (AnswerError, NodeUnavailableError, IncompleteError) as error:
                problems.append(str(error))
                continue
            # Some chains add logs of the protocol that are not in the bloom: none may be missing, more may come.
            explained = not block.bloom & ~bloom_of(logs) and len(logs) >= at_least
            whole = sorted(log.log_index for log in logs) == list(range(len(logs)))
            if explained and whole and all(log.block_hash == block.hash for log in logs):
                return logs
            problems.append(
                f"{name} answers {len(logs)} logs, which are not all, by the block's bloom, the logs' positions, or "
                f"what was answered before ({at_least})"
            )
        raise IncompleteError(
            f"block {block.number} ({block.hash}): expected its logs, found a node that has pruned them, lags behind "
            f"or has a gap ({'; '.join(problems)}). Nothing is taken for empty: add a node with full "
            "history to ASSAY_RPC_URLS"
        )

    def set_aside_without_history(self, endpoints: Collection[str], first: int, last: int) -> bool:
        """Set nodes aside that answered, but do not hold the logs of the whole range; returns whether there were any.

        A pruned node lacks the oldest blocks and a lagging one the newest, so a node that proves the logs of a block
        at each end holds what is between. Each node is asked once for a range.

        Raises:
            IncompleteError: No node is left.
        """
        removed = False
        for endpoint in endpoints:
            held = self._held.get(endpoint)
            if held is not None and held[0] <= first and last <= held[1]:
                continue
            try:
                self._require_history(endpoint, first, last)
            except IncompleteError as error:
                self._rpc.set_aside(endpoint, str(error))
                removed = True
                if not self._rpc.has_usable:
                    raise
            else:
                self._held[endpoint] = (first, last)
        return removed

    def _require_history(self, endpoint: str, first: int, last: int) -> None:
        step = max((last - first) // (_SAMPLES - 1), 1)
        sample = self._chain.blocks({*range(first, last + 1, step), last})
        with_logs = [number for number, block in sorted(sample.items()) if block.bloom]
        for number in {*with_logs[:1], *with_logs[-1:]}:
            self.whole_block(sample[number], endpoint)


def _named_limit(text: str) -> int | None:
    """The number of blocks that an error text allows."""
    bounds = _RANGE_SHOULD_BE.search(text)
    if bounds:
        size = int(bounds.group(2), 16) - int(bounds.group(1), 16) + 1
        return size if size > 0 else None
    numbers = [int(re.sub(r"[,_]", "", n)) for n in _BLOCKS_AT_MOST.findall(text)]
    possible = [n for n in numbers if n > 0]
    return min(possible) if possible else None


def _read(answer: Any, endpoint: str, wanted: LogFilter | None, first: int, last: int) -> list[Log]:
    if not isinstance(answer, list):
        raise IncompleteError(f"{endpoint}: expected a list of logs, found {type(answer).__name__}")
    try:
        logs = [log_from_json(entry) for entry in answer if not entry.get("removed")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IncompleteError(f"{endpoint}: expected logs as JSON-RPC describes them: {error!r}") from error
    for log in logs:
        if not first <= log.block_number <= last or (wanted is not None and not wanted.holds(log)):
            raise IncompleteError(
                f"{endpoint}: expected logs of blocks {first} to {last} that were asked for, found log "
                f"{log.log_index} of block {log.block_number} by {log.address}"
            )
    return logs
