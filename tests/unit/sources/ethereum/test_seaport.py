"""Seaport: one OrderFulfilled, or two that were matched, give the sale that took place."""

from __future__ import annotations

import pytest

from sources.ethereum.decoders import seaport
from sources.ethereum.decoders.trade import Unpriced
from sources.local_chain.logs import (
    ALICE,
    BOB,
    CARDS,
    CAROL,
    DAVE,
    ETH,
    NFT,
    NOWHERE,
    USDC,
    WETH,
    card,
    coin,
    erc20,
    log,
    moved,
    order,
    orders_matched,
    token,
)

OPENSEA = min(seaport.FEE_RECIPIENTS)


def test_every_recipient_counts_also_those_past_the_second() -> None:
    """A public table added up two recipients only: 95,900 sales were too cheap."""
    parts = [coin(900, ALICE), coin(25, OPENSEA), coin(50, CAROL), coin(20, DAVE), coin(5, "0x" + "9" * 40)]
    (trade,) = seaport.trades_of([order(ALICE, BOB, [token(7)], parts)])
    assert (trade.price, trade.fee, trade.royalty) == (1000, 25, None)
    assert (trade.seller, trade.buyer, trade.side) == (ALICE, BOB, "listing_filled")


def test_an_erc1155_amount_is_a_quantity_not_a_price_of_one() -> None:
    (trade,) = seaport.trades_of([order(ALICE, BOB, [card(5, 4)], [coin(ETH, ALICE)])])
    assert (trade.contract, trade.quantity, trade.price) == (CARDS, 4, ETH)


def test_a_sale_that_is_logged_by_both_sides_is_one_sale() -> None:
    """`matchOrders` logs the bid and the mirror of the seller, who gets less than the buyer pays."""
    bid = order(BOB, CAROL, [erc20(WETH, 1000)], [token(7, BOB), erc20(WETH, 25, OPENSEA)], index=4, number=1)
    ask = order(ALICE, CAROL, [token(7)], [erc20(WETH, 975, ALICE)], index=5, number=2)
    (trade,) = seaport.trades_of([bid, ask, orders_matched(1, 2, index=6)])
    assert (trade.price, trade.currency, trade.seller, trade.buyer) == (1000, WETH, ALICE, BOB)
    assert (trade.log_index, trade.side) == (5, None)


def test_before_1_4_matched_orders_have_no_recipient_and_follow_one_another() -> None:
    old = seaport.ADDRESSES[0]
    bid = order(BOB, NOWHERE, [erc20(WETH, 1000)], [token(7, BOB)], index=4, number=1, address=old)
    ask = order(ALICE, NOWHERE, [token(7)], [erc20(WETH, 1000, ALICE)], index=5, number=2, address=old)
    other = order(ALICE, DAVE, [token(8)], [coin(3, ALICE)], index=9, number=3, address=old)
    first, second = seaport.trades_of([bid, ask, other])
    assert (first.price, first.seller, first.buyer) == (1000, ALICE, BOB)
    assert (second.price, second.buyer) == (3, DAVE)


def test_two_pairs_in_one_match_are_two_sales() -> None:
    logs = [
        order(BOB, CAROL, [erc20(WETH, 10)], [token(1, BOB)], index=1, number=1),
        order(ALICE, CAROL, [token(1)], [erc20(WETH, 10, ALICE)], index=2, number=2),
        order(DAVE, CAROL, [erc20(WETH, 20)], [token(2, DAVE)], index=3, number=3),
        order(ALICE, CAROL, [token(2)], [erc20(WETH, 20, ALICE)], index=4, number=4),
        orders_matched(1, 2, 3, 4, index=5),
    ]
    found = [(t.token_id, t.price, t.buyer) for t in seaport.trades_of(logs)]
    assert found == [(1, 10, BOB), (2, 20, DAVE)]


def test_the_token_itself_among_the_considerations_names_the_buyer_of_a_private_sale() -> None:
    (trade,) = seaport.trades_of([order(ALICE, CAROL, [token(7)], [coin(500, ALICE), token(7, BOB)])])
    assert (trade.price, trade.side, trade.seller, trade.buyer) == (500, "private", ALICE, BOB)


def test_an_accepted_bid_costs_what_was_offered() -> None:
    (trade,) = seaport.trades_of(
        [order(BOB, ALICE, [erc20(WETH, 1000)], [token(7, BOB), erc20(WETH, 25, OPENSEA)])]
    )
    assert (trade.price, trade.currency, trade.fee, trade.royalty) == (1000, WETH, 25, 0)
    assert (trade.side, trade.seller, trade.buyer) == ("bid_accepted", ALICE, BOB)


@pytest.mark.parametrize(
    ("offer", "asked", "reason", "tokens"),
    [
        ([token(1), token(2)], [coin(10, ALICE)], Unpriced.BUNDLE, 2),
        ([erc20(WETH, 9)], [token(1, ALICE), token(2, ALICE)], Unpriced.BUNDLE, 2),
        ([token(1)], [token(9, ALICE, contract=CARDS)], Unpriced.SWAP, 2),
        ([token(1), coin(5)], [token(2, ALICE)], Unpriced.SWAP, 2),
        ([token(1)], [coin(5, ALICE), erc20(USDC, 5, CAROL)], Unpriced.SEVERAL_CURRENCIES, 1),
        ([erc20(WETH, 9)], [token(1, ALICE), erc20(USDC, 1, CAROL)], Unpriced.SEVERAL_CURRENCIES, 1),
    ],
)
def test_what_has_no_price_of_its_own_is_recorded_with_the_reason(
    offer: list[tuple[object, ...]], asked: list[tuple[object, ...]], reason: Unpriced, tokens: int
) -> None:
    trades = seaport.trades_of([order(ALICE, BOB, offer, asked)])
    assert [(t.price, t.unpriced) for t in trades] == [(None, reason)] * tokens
    assert len({t.sub_index for t in trades}) == tokens


def test_money_for_money_is_no_trade_of_a_token() -> None:
    assert seaport.trades_of([order(ALICE, BOB, [coin(5)], [erc20(USDC, 5, ALICE)])]) == []


def test_the_same_order_filled_twice_is_two_sales() -> None:
    logs = [order(ALICE, BOB, [card(5, 1)], [coin(3, ALICE)], index=n, number=1) for n in (1, 2)]
    assert [t.log_index for t in seaport.trades_of(logs)] == [1, 2]


def test_a_transfer_is_read_only_as_what_it_is() -> None:
    from sources.ethereum.decoders.movements import EVENTS, movements_of

    assert [m.token_id for m in movements_of(moved(ALICE, BOB, 7))] == [7]
    # ERC-20 has the same event with the amount in the data
    assert movements_of(log(NFT, EVENTS[0], (ALICE, BOB), b"\0" * 32)) == []
