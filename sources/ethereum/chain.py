"""Blocks of a chain: headers, the finalized head, the block at a time.

Here: questions about blocks. Not here: logs (`sources.ethereum.fetching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sources.ethereum.rpc import AnswerError, Rpc
from sources.protocol import SourceError


class ChainError(SourceError):
    """What a node answers cannot be: the message says what was expected and found."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Block:
    """The header of a block.

    Attributes:
        number: Height.
        hash: Its hash.
        parent: Hash of the block before.
        time: Unix seconds.
        bloom: Bloom filter of its logs.
    """

    number: int
    hash: str
    parent: str
    time: int
    bloom: int

    @property
    def moment(self) -> datetime:
        """Its time, UTC, naive."""
        return datetime.fromtimestamp(self.time, UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a block stands, for the rows of its logs.

    Attributes:
        time: Unix seconds of the block.
        known: Unix seconds from which it is known: its time, or when it was found in the place of another one.
        final: Whether no reorganisation can replace it any more.
        replaced_by: Hash of the block that was found in its place; None while it stands.
        late: Log index → unix seconds from which it is known, for logs that a node first left out.
    """

    time: int
    known: int
    final: bool = True
    replaced_by: str | None = None
    late: Mapping[int, int] = field(default_factory=dict)

    def known_of(self, log_index: int) -> int:
        """Unix seconds from which a log is known."""
        return self.late.get(log_index, self.known)


class Chain:
    """Headers of one chain, as its nodes tell them."""

    def __init__(self, rpc: Rpc, confirmations: int) -> None:
        """Describe the chain.

        Args:
            rpc: Its nodes.
            confirmations: Blocks behind the newest one that count as final where a node knows no `finalized`.
        """
        self.rpc = rpc
        self._confirmations = confirmations

    def block(self, number: int) -> Block:
        """The block at a height.

        Raises:
            ChainError: No node has it.
        """
        return self.blocks([number])[number]

    def blocks(self, numbers: Iterable[int]) -> dict[int, Block]:
        """Blocks by height.

        Raises:
            ChainError: A node does not have one of them: it lags, or dropped old blocks.
        """
        wanted = sorted(set(numbers))
        answers = self.rpc.batch("eth_getBlockByNumber", [[hex(n), False] for n in wanted])
        found = {}
        for number, answer in zip(wanted, answers, strict=True):
            block = self._read(answer) if answer is not None else self._elsewhere(number)
            if block.number != number:
                raise ChainError(f"expected block {number}, found {block.number}")
            found[number] = block
        return found

    def _elsewhere(self, number: int) -> Block:
        found = self._from_any("eth_getBlockByNumber", hex(number))
        if found is None:
            raise ChainError(
                f"expected block {number}, but none of {', '.join(self.rpc.names)} has it: the node lags behind, or "
                "dropped old blocks. Add a node that has them to ASSAY_RPC_URLS"
            )
        return found

    def by_hash(self, block_hash: str) -> Block:
        """The block with a hash.

        Raises:
            ChainError: No node has it.
        """
        found = self._from_any("eth_getBlockByHash", block_hash)
        if found is None or found.hash != block_hash:
            raise ChainError(f"expected block {block_hash}, but none of {', '.join(self.rpc.names)} has it")
        return found

    def _from_any(self, method: str, which: str) -> Block | None:
        """A block from the first node that has it."""
        for name in self.rpc.names:
            try:
                answer = self.rpc.call(method, which, False, endpoint=name)
            except SourceError:
                continue  # the caller says that none has it
            if answer is not None:
                return self._read(answer)
        return None

    def _read(self, given: Any) -> Block:
        try:
            return Block(
                number=int(given["number"], 16),
                hash=given["hash"].lower(),
                parent=given["parentHash"].lower(),
                time=int(given["timestamp"], 16),
                bloom=int(given["logsBloom"], 16),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ChainError(
                f"expected a block with number, hash, parentHash, timestamp and logsBloom: {error!r}"
            ) from error

    def chain_id(self) -> int:
        """The number of the chain (EIP-155)."""
        return int(self.rpc.call("eth_chainId"), 16)

    def finalized(self, at_least: int = 0) -> Block:
        """The newest block that no reorganisation can replace.

        Never `safe`: several providers moved it to one or two blocks behind the head. Where a node does not know the
        tag, the confirmations are counted from its newest block.

        Args:
            at_least: Height that was final before; when the preferred node names a lower one, the others are asked.
        """
        return self._highest("finalized", at_least)

    def head(self, tag: str, at_least: int = 0) -> Block:
        """The block that nodes call `latest` or `safe`; see `finalized`."""
        return self._highest(tag, at_least)

    def _highest(self, tag: str, at_least: int) -> Block:
        best = self._tagged(tag, None)
        if best.number >= at_least:
            return best
        for name in self.rpc.names:
            try:
                found = self._tagged(tag, name)
            except SourceError:
                continue  # the answer of the others stands
            if found.number > best.number:
                best = found
        return best

    def _tagged(self, tag: str, endpoint: str | None) -> Block:
        try:
            answer = self.rpc.call("eth_getBlockByNumber", tag, False, endpoint=endpoint)
        except AnswerError:
            answer = None
        if answer is not None:
            return self._read(answer)
        newest = int(self.rpc.call("eth_blockNumber", endpoint=endpoint), 16)
        return self.block(max(newest - (self._confirmations if tag == "finalized" else 0), 0))

    def first_at(self, time: int, low: int, high: int) -> int:
        """The lowest block from `low` to `high` whose time is `time` (unix seconds) or later; `high` + 1: none."""
        while low <= high:
            middle = (low + high) // 2
            if self.block(middle).time < time:
                low = middle + 1
            else:
                high = middle - 1
        return low
