"""Movements of tokens: ERC-721, ERC-1155 single and batch.

Here: the standard events of any contract. Not here: CryptoPunks, which has events of its own
(`sources.ethereum.decoders.cryptopunks`).
"""

from __future__ import annotations

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.trade import Movement
from sources.ethereum.log import Log, UndecodableLogError

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
EVENTS = (TRANSFER, TRANSFER_SINGLE, TRANSFER_BATCH)
"""Events that move tokens, by their first topic."""

_single = decoder(("uint256", "uint256"))
_batch = decoder(("uint256[]", "uint256[]"))


def movements_of(log: Log) -> list[Movement]:
    """The movements that a log states; none for other events. ERC-20 shares the name Transfer, with 3 topics.

    Raises:
        UndecodableLogError: The log does not hold what its event promises.
    """
    kind = (log.event, len(log.topics))
    if kind == (TRANSFER, 4):
        moved = [(log.topic_number(3), 1)]
        giver, receiver = log.topic_address(1), log.topic_address(2)
    elif kind == (TRANSFER_SINGLE, 4):
        moved = [_single(log.data)]
        giver, receiver = log.topic_address(2), log.topic_address(3)
    elif kind == (TRANSFER_BATCH, 4):
        ids, quantities = _batch(log.data)
        if len(ids) != len(quantities):
            raise UndecodableLogError(
                f"expected a quantity for each token, found {len(ids)} and {len(quantities)}"
            )
        moved = list(zip(ids, quantities, strict=True))
        giver, receiver = log.topic_address(2), log.topic_address(3)
    else:
        return []
    return [
        Movement(log.log_index, position, log.address, token, quantity, giver, receiver)
        for position, (token, quantity) in enumerate(moved)
    ]
