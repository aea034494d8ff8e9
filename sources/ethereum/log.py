"""One log of a chain, as every decoder gets it.

Here: the log and how it is read from JSON-RPC. Not here: asking for logs (`sources.ethereum.fetching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class UndecodableLogError(ValueError):
    """A log does not hold what its event promises."""


@dataclass(frozen=True, slots=True)
class Log:
    """One log.

    Attributes:
        address: Contract that logged, lower case.
        topics: 0x and 64 hex digits each; the first one names the event.
        data: ABI-encoded values that are not indexed.
        block_number: Height.
        block_hash: Hash of the block.
        tx_hash: Hash of the transaction.
        tx_index: Position of the transaction in the block.
        log_index: Position of the log in the block.
    """

    address: str
    topics: tuple[str, ...]
    data: bytes
    block_number: int
    block_hash: str
    tx_hash: str
    tx_index: int
    log_index: int

    @property
    def event(self) -> str:
        """The topic that names the event; empty for an anonymous log."""
        return self.topics[0] if self.topics else ""

    def topic_address(self, position: int) -> str:
        """The address in a topic.

        Raises:
            UndecodableLogError: There is no such topic.
        """
        return "0x" + self._topic(position)[-40:]

    def topic_number(self, position: int) -> int:
        """The unsigned number in a topic.

        Raises:
            UndecodableLogError: There is no such topic.
        """
        return int(self._topic(position), 16)

    def _topic(self, position: int) -> str:
        try:
            return self.topics[position]
        except IndexError:
            raise UndecodableLogError(
                f"expected at least {position + 1} topics, found {len(self.topics)}"
            ) from None


def log_from_json(given: Mapping[str, Any]) -> Log:
    """A log of `eth_getLogs`.

    Raises:
        KeyError, TypeError, ValueError: A field is missing or is not what JSON-RPC promises.
    """
    return Log(
        address=given["address"].lower(),
        topics=tuple([t.lower() if len(t) == 66 and t[:2] == "0x" else _padded(t) for t in given["topics"]]),
        data=bytes.fromhex(given["data"][2:]),
        block_number=int(given["blockNumber"], 16),
        block_hash=given["blockHash"].lower(),
        tx_hash=given["transactionHash"].lower(),
        tx_index=int(given["transactionIndex"], 16),
        log_index=int(given["logIndex"], 16),
    )


def _padded(topic: str) -> str:
    """A topic in its one form, 0x and 64 digits in lower case, where a node leaves zeros out."""
    return f"0x{int(topic, 16):064x}"
