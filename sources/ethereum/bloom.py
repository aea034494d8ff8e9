"""The bloom filter of a block: which addresses and topics its logs can have.

Here: making a bloom and asking it. Source: the Yellow Paper, section 4.3.1 (M3:2048): three 11-bit numbers of the
Keccak-256 hash of an address or a topic set one bit each.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eth_utils.crypto import keccak

from sources.ethereum.log import Log

_BITS = 2048


@lru_cache(maxsize=100_000)
def bits_of(item: str) -> int:
    """The bits that an address or a topic (0x…) sets."""
    digest = keccak(hexstr=item)
    bits = 0
    for position in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[position : position + 2], "big") % _BITS)
    return bits


def bloom_of(logs: Iterable[Log]) -> int:
    """The bloom of a block with exactly these logs."""
    bloom = 0
    for log in logs:
        bloom |= bits_of(log.address)
        for topic in log.topics:
            bloom |= bits_of(topic)
    return bloom


def may_hold(bloom: int, addresses: Iterable[str], events: Iterable[str]) -> bool:
    """Whether a block with this bloom can hold a log of one of the addresses with one of the events.

    False is certain; true may be chance.
    """
    held = any(bloom & (bits := bits_of(address)) == bits for address in addresses)
    return held and any(bloom & (bits := bits_of(event)) == bits for event in events)
