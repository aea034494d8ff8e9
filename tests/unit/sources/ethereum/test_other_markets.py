"""Blur, LooksRare, X2Y2 and CryptoPunks: each event gives the sale that took place."""

from __future__ import annotations

import pytest
from eth_abi import encode

from sources.ethereum.decoders import blur, cryptopunks, looksrare, movements, x2y2
from sources.ethereum.decoders.trade import Unpriced
from sources.ethereum.decoders.transactions import decode
from sources.ethereum.log import Log
from sources.local_chain.logs import (
    ALICE,
    BOB,
    CARDS,
    CAROL,
    ETH,
    NFT,
    NOWHERE,
    WETH,
    inventory,
    log,
    moved,
    punk,
)


def packed(side: int, price: int, token: int, maker: str, event: int = 0) -> Log:
    words = [b"\0" * 32, (token << 168) | int(maker, 16), (side << 248) | (price << 160) | int(NFT, 16)]
    types = ["bytes32", "uint256", "uint256"]
    name = list(blur.PACKED)[event]
    if event:
        words, types = [*words, (50 << 160) | int(CAROL, 16)], [*types, "uint256"]
    return log(blur.V2, name, (), encode(types, words), index=5)


@pytest.mark.parametrize("event", [0, 1, 2])
def test_a_packed_listing_of_blur_is_bought_by_who_gets_the_token(event: int) -> None:
    decoded = decode([packed(0, 3 * ETH, 77, ALICE, event), moved(ALICE, BOB, 77, index=6)], {})
    (trade,) = decoded.trades
    assert (trade.price, trade.currency, trade.token_id) == (3 * ETH, NOWHERE, 77)
    assert (trade.seller, trade.buyer, trade.side) == (ALICE, BOB, "listing_filled")


def test_a_packed_bid_of_blur_is_paid_from_the_pool_and_sold_by_who_gives_the_token() -> None:
    decoded = decode([moved(ALICE, BOB, 77, index=4), packed(1, ETH, 77, BOB)], {})
    (trade,) = decoded.trades
    assert (trade.seller, trade.buyer, trade.currency) == (ALICE, BOB, blur.POOL)
    assert trade.side == "bid_accepted"


def test_a_packed_sale_whose_transfer_is_not_there_has_no_buyer() -> None:
    assert decode([packed(0, ETH, 77, ALICE)], {}).trades[0].buyer is None


def test_an_execution_of_blur_has_an_amount() -> None:
    data = encode(
        [
            "(address,uint256,uint256,address,uint8)",
            "bytes32",
            "uint256",
            "uint256",
            "(address,uint16)",
            "((address,uint16),(address,uint16))",
            "uint8",
        ],
        [(ALICE, 5, 3, CARDS, 1), b"\0" * 32, 0, 6 * ETH, (CAROL, 50), ((CAROL, 100), (CAROL, 0)), 0],
    )
    (trade,) = blur.trades_of([log(blur.V2, blur.EXECUTION, (), data)], [])
    assert (trade.quantity, trade.price, trade.fee, trade.contract) == (3, 6 * ETH, 6 * ETH // 100, CARDS)


def blur_v1(sell_time: int, buy_time: int) -> Log:
    def order(trader: str, side: int, price: int, listed: int) -> tuple[object, ...]:
        return (trader, side, CAROL, NFT, 9, 1, NOWHERE, price, listed, 2**40, [(50, CAROL)], 1, b"")

    types = [blur._ORDER, "bytes32", blur._ORDER, "bytes32"]
    values = [order(ALICE, 1, 100, sell_time), b"\0" * 32, order(BOB, 0, 90, buy_time), b"\0" * 32]
    return log(blur.V1, blur.ORDERS_MATCHED, (ALICE, BOB), encode(types, values))


def test_the_price_of_blur_v1_is_that_of_the_order_that_was_listed_first() -> None:
    (listing,) = blur.trades_of([blur_v1(1, 2)], [])
    (bid,) = blur.trades_of([blur_v1(2, 1)], [])
    assert (listing.price, listing.side, bid.price, bid.side) == (100, "listing_filled", 90, "bid_accepted")


def looksrare_v1(event: str) -> Log:
    data = encode(
        ["bytes32", "uint256", "address", "address", "uint256", "uint256", "uint256"],
        [b"\0" * 32, 1, WETH, CARDS, 7, 2, 100],
    )
    return log(looksrare.V1, event, (ALICE, BOB, CAROL), data)


def test_in_a_taker_ask_of_looksrare_v1_the_maker_is_the_buyer() -> None:
    """A widely used public table has seller and buyer the other way round."""
    (ask,) = looksrare.trades_of([looksrare_v1(looksrare.V1_ASK)])
    assert (ask.seller, ask.buyer, ask.side, ask.quantity) == (ALICE, BOB, "bid_accepted", 2)
    (bid,) = looksrare.trades_of([looksrare_v1(looksrare.V1_BID)])
    assert (bid.seller, bid.buyer, bid.side) == (BOB, ALICE, "listing_filled")


@pytest.mark.parametrize("tokens", [[7], [7, 8]])
def test_looksrare_v2_adds_up_seller_creator_and_venue(tokens: list[int]) -> None:
    types = ["(bytes32,uint256,bool)", "address", "address", "uint256", "address", "address"]
    types += ["uint256[]", "uint256[]", "address[2]", "uint256[3]"]
    values = [(b"\0" * 32, 1, True), BOB, BOB, 0, NOWHERE, NFT, tokens, [1] * len(tokens)]
    data = encode(types, [*values, [ALICE, CAROL], [950, 30, 20]])
    trades = looksrare.trades_of([log(looksrare.V2, looksrare.V2_BID, (), data)])
    assert [(t.seller, t.buyer) for t in trades] == [(ALICE, BOB)] * len(tokens)
    if len(tokens) == 1:
        assert (trades[0].price, trades[0].royalty, trades[0].fee) == (1000, 30, 20)
    else:
        assert {(t.price, t.unpriced) for t in trades} == {(None, Unpriced.BUNDLE)}


@pytest.mark.parametrize(
    ("operation", "side", "seller"),
    [(1, "listing_filled", ALICE), (2, "bid_accepted", BOB), (5, "auction", ALICE)],
)
def test_x2y2_has_three_operations_that_are_sales(operation: int, side: str, seller: str) -> None:
    (trade,) = x2y2.trades_of([inventory(operation)])
    assert (trade.price, trade.side, trade.seller, trade.token_id) == (500, side, seller, 9)


@pytest.mark.parametrize("operation", [0, 3, 4, 6, 7])
def test_other_operations_of_x2y2_are_no_sales(operation: int) -> None:
    assert x2y2.trades_of([inventory(operation)]) == []


def test_a_bid_on_a_collection_of_x2y2_names_its_token_in_the_replacement() -> None:
    (trade,) = x2y2.trades_of([inventory(2, masked=True)])
    assert (trade.contract, trade.token_id) == (NFT, 9)


def accepted(receiver: str) -> list[Log]:
    return [
        punk(movements.TRANSFER, (ALICE, receiver), 1, 1),
        punk(cryptopunks.BOUGHT, (9354, ALICE, NOWHERE), 0, 2),
    ]


def test_an_accepted_bid_on_a_punk_costs_the_bid_although_the_log_has_zero() -> None:
    bids: cryptopunks.Bids = {}
    decode([punk(cryptopunks.BID_ENTERED, (9354, BOB), 3 * ETH)], bids)
    decoded = decode(accepted(BOB), bids)
    (trade,) = decoded.trades
    assert (trade.price, trade.buyer, trade.side) == (3 * ETH, BOB, "bid_accepted")
    assert [(m.giver, m.receiver, m.token_id) for m in decoded.movements] == [(ALICE, BOB, 9354)]
    assert bids == {}


@pytest.mark.parametrize("before", ["nothing", "withdrawn", "of somebody else"])
def test_an_accepted_bid_that_is_not_known_has_no_price(before: str) -> None:
    bids: cryptopunks.Bids = {}
    bidder = CAROL if before == "of somebody else" else BOB
    if before != "nothing":
        decode([punk(cryptopunks.BID_ENTERED, (9354, bidder), 3 * ETH)], bids)
    if before == "withdrawn":
        decode([punk(cryptopunks.BID_WITHDRAWN, (9354, bidder), 3 * ETH)], bids)
    (trade,) = decode(accepted(BOB), bids).trades
    assert (trade.price, trade.unpriced, trade.buyer) == (None, Unpriced.UNKNOWN_BID, BOB)


def test_a_punk_for_nothing_with_a_buyer_is_a_gift() -> None:
    decoded = decode([punk(cryptopunks.BOUGHT, (7, ALICE, BOB), 0)], {})
    assert decoded.trades == ()
    assert decoded.movements[0].receiver == BOB


def test_a_punk_that_is_bought_moves_and_costs_what_the_log_states() -> None:
    decoded = decode([punk(cryptopunks.BOUGHT, (7294, ALICE, BOB), 90 * ETH)], {})
    assert (decoded.trades[0].price, decoded.trades[0].side) == (90 * ETH, "listing_filled")
    assert len(decoded.movements) == 1


def test_a_batch_of_erc1155_moves_every_token() -> None:
    data = encode(["uint256[]", "uint256[]"], [[5, 6], [10, 20]])
    (first, second) = movements.movements_of(log(CARDS, movements.TRANSFER_BATCH, (CAROL, ALICE, BOB), data))
    assert [(m.token_id, m.quantity, m.sub_index) for m in (first, second)] == [(5, 10, 0), (6, 20, 1)]


def test_a_log_that_cannot_be_decoded_does_not_stop_the_others() -> None:
    good = punk(cryptopunks.BOUGHT, (7294, ALICE, BOB), 90 * ETH, 1)
    bad = log(looksrare.V1, looksrare.V1_ASK, (ALICE, BOB, CAROL), b"\1" * 31, 2)
    worse = log(cryptopunks.ADDRESS, cryptopunks.BOUGHT, (1,), b"", 3)
    trades = decode([good, bad, worse], {}).trades
    assert [t.unpriced for t in trades] == [None, Unpriced.UNDECODABLE, Unpriced.UNDECODABLE]
    assert "expected" in trades[1].detail


def test_three_marketplaces_call_an_event_orders_matched() -> None:
    """The event alone does not choose the decoder: Blur's event at Seaport's address is nobody's."""
    stray = log(looksrare.V1, blur.ORDERS_MATCHED, (ALICE, BOB), b"\0" * 64)
    assert decode([stray], {}).trades == ()
