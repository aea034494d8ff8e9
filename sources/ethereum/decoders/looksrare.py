"""LooksRare v1 and v2: TakerBid (a listing is bought) and TakerAsk (a bid is accepted).

Here: the events → trades. In a TakerAsk of v1 the maker is the *buyer*; a widely used public table has it the other way
round.
"""

from __future__ import annotations

from collections.abc import Sequence

from sources.ethereum.decoders.abi import decoder
from sources.ethereum.decoders.trade import Trade, Unpriced
from sources.ethereum.log import Log

NAME = "looksrare"
V1 = "0x59728544b08ab483533076417fbbb2fd0b17ce3a"
V2 = "0x0000000000e655fae4d56241588680f86e3b2377"
ADDRESSES = (V1, V2)
V1_ASK = "0x68cd251d4d267c6e2034ff0088b990352b97b2002c0476587d0c4da889c11330"
V1_BID = "0x95fb6205e23ff6bda16a2d1dba56b9ad7c783f67c96fa149785052f47696f2be"
V2_ASK = "0x9aaa45d6db2ef74ead0751ea9113263d1dec1b50cea05f0ca2002cb8063564a4"
V2_BID = "0x3ee3de4684413690dee6fff1a0a4f92916a1b97d1c5a83cdf24671844306b2e3"
EVENTS = (V1_ASK, V1_BID, V2_ASK, V2_BID)

_first = decoder(("bytes32", "uint256", "address", "address", "uint256", "uint256", "uint256"))
_second = decoder(
    (
        "(bytes32,uint256,bool)",
        "address",
        "address",
        "uint256",
        "address",
        "address",
        "uint256[]",
        "uint256[]",
        "address[2]",
        "uint256[3]",
    )
)


def trades_of(logs: Sequence[Log]) -> list[Trade]:
    """The trades of the LooksRare logs of one transaction.

    Raises:
        UndecodableLogError: A log does not hold what its event promises.
    """
    trades: list[Trade] = []
    for log in logs:
        if log.address == V1 and log.event in (V1_ASK, V1_BID):
            trades.append(_first_version(log))
        elif log.address == V2 and log.event in (V2_ASK, V2_BID):
            trades += _second_version(log)
    return trades


def _first_version(log: Log) -> Trade:
    _, _, currency, contract, token, quantity, price = _first(log.data)
    taker, maker = log.topic_address(1), log.topic_address(2)
    accepted = log.event == V1_ASK
    return Trade(
        marketplace=NAME,
        log_index=log.log_index,
        sub_index=0,
        contract=contract,
        token_id=token,
        quantity=quantity,
        price=price,
        currency=currency,
        side="bid_accepted" if accepted else "listing_filled",
        seller=taker if accepted else maker,
        buyer=maker if accepted else taker,
    )


def _second_version(log: Log) -> list[Trade]:
    _, first, second, _, currency, contract, tokens, quantities, recipients, fees = _second(log.data)
    accepted = log.event == V2_ASK
    # TakerAsk: (asker, bidder). TakerBid: (bidder, who gets the token); the seller is the first recipient.
    seller, buyer = (first, second) if accepted else (recipients[0], first)
    alone = len(tokens) == 1
    return [
        Trade(
            marketplace=NAME,
            log_index=log.log_index,
            sub_index=position,
            contract=contract,
            token_id=token,
            quantity=quantity,
            # to the seller, to the creator, to the venue
            price=sum(fees) if alone else None,
            currency=currency,
            side="bid_accepted" if accepted else "listing_filled",
            seller=seller,
            buyer=buyer,
            fee=fees[2] if alone else None,
            royalty=fees[1] if alone else None,
            unpriced=None if alone else Unpriced.BUNDLE,
        )
        for position, (token, quantity) in enumerate(zip(tokens, quantities, strict=False))
    ]
