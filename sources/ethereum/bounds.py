"""Between which blocks a chain is read.

Here: the finalized head, which must not go back, and the first block of a day. Not here: blocks after the finalized
head (`sources.ethereum.recent`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sources.chains import CHAINS
from sources.ethereum.chain import Block, Chain, ChainError
from sources.ethereum.reorg import doubt
from sources.ethereum.store import Store
from sources.protocol import SourceError


@dataclass(frozen=True, slots=True)
class FinalHead:
    """The newest block that no reorganisation can replace.

    Attributes:
        block: Its header.
        is_doubted: Whether nodes name a lower one than before, so that the one of before counts.
    """

    block: Block
    is_doubted: bool = False


def final_head(chain: Chain, store: Store, name: str, now: int) -> FinalHead:
    """The finalized head of the chain of this name; `now` is our clock in unix seconds.

    Raises:
        ChainError: The nodes are of another chain than named, or than the store.
    """
    expected = next(c.ids for c in CHAINS if c.name == name)
    found = chain.chain_id()
    if found not in expected:
        raise ChainError(
            f"expected nodes of {name} (chain {', '.join(map(str, expected))}), found chain {found}"
        )
    kept = store.newest_final()
    head = chain.finalized(kept.number if kept else 0)
    if kept is not None and kept.number > head.number:
        doubt(
            store,
            f"expected block {kept.number} to be final, which it was before, found {head.number} at best, of "
            f"{', '.join(chain.rpc.names)}: the nodes lag behind",
            now,
        )
        return FinalHead(kept, is_doubted=True)
    if kept is not None:
        there = chain.block(kept.number)
        if there.hash != kept.hash:
            raise ChainError(
                f"expected block {kept.number} to be {kept.hash}, which was final when it was read, found "
                f"{there.hash}: the node is of another chain, or {store.path.parent} belongs to another one"
            )
    return FinalHead(head)


def first_block(chain: Chain, store: Store, start: str, head: Block) -> Block:
    """The block from which the chain is read: a day (ISO 8601) or a number. It is asked once and kept.

    Raises:
        SourceError: It is after the finalized head.
    """
    note = f"first block of {start}"
    held = store.note(note)
    if held is not None:
        return chain.block(int(held))
    if start.isdigit():
        number = int(start)
    else:
        moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
        number = chain.first_at(int(moment.timestamp()), 0, head.number)
    if number > head.number:
        raise SourceError(
            f"expected a start before the finalized head (block {head.number}, "
            f"{head.moment:%Y-%m-%d %H:%M} UTC), found {start}"
        )
    store.keep_note(note, str(number))
    return chain.block(number)
