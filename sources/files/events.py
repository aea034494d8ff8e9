"""Words of exports for what happened: which name a sale, and which name something else.

Here: the words, as data. Not here: what becomes of a row (`sources.files.candidates`).
"""

from __future__ import annotations

SALE_EVENTS: dict[str, str | None] = {
    **dict.fromkeys(("mint", "minted", "primary", "primary_sale"), "primary"),
    **dict.fromkeys((
        "sale", "sales", "trade", "traded", "bought", "sold", "buy", "buynow", "buy_now", "purchase", "purchased",
        "successful", "success", "bid_won", "redeem", "item_sold", "accept_bid", "acceptbid", "bid_accepted",
        "accept_offer", "acceptoffer", "offer_accepted", "take_ask", "take_bid", "takerask", "takerbid", "taker_ask",
        "taker_bid", "filled", "order_filled", "orderfilled", "orders_matched", "ordersmatched", "match", "matched",
        "executesale", "execute_sale", "auction_won", "auction_settled", "auction_sale", "won", "nft_sale", "resale",
        "secondary_sale", "sell", "instant_sell", "instantsell", "pool_buy", "pool_sell", "swap", "ok", "executed",
    )),
}  # fmt: skip
"""Words of an `event` column that name a sale → the market of it, where they say it."""

OTHER_EVENTS: tuple[str, ...] = (
    "transfer", "created", "list", "listed", "listing", "ask", "bid", "offer", "order", "cancel", "cancelled",
    "canceled", "bid_entered", "bid_withdrawn", "offer_entered", "collection_offer", "trait_offer", "approve", "burn",
    "item_listed", "item_cancelled", "item_transferred", "item_received_bid", "ask_cancel", "bid_cancel", "delist",
    "cancelbid", "cancel_bid", "cancel_listing", "offered", "offer_withdrawn", "bids", "bidding", "withdrawn",
    "transferred", "airdrop", "unlist", "unlisted", "expired", "stake", "unstake", "deposit", "approval",
)  # fmt: skip
"""Words of an `event` column that name no sale: such a row is refused. So is a word of neither kind, where others of
the column name sales."""
