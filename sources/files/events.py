"""Words of exports for what happened: which name a sale, which name something else, and which say that it failed.

Here: the words, as data, and what they say of a row, as SQL. Not here: the row's other columns
(`sources.files.candidates`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sources.files.plan import Plan
from sources.values import quote, quote_name

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

TRUE_WORDS: tuple[str, ...] = ("true", "t", "yes", "y", "1", "1.0")
"""Words of an `undone` column that say so."""

FAILED_WORDS: tuple[str, ...] = (
    "false", "f", "no", "0", "0.0", "0x0", "fail", "failed", "failure", "error", "reverted", "dropped", "rejected",
    "cancelled", "canceled", "pending",
)  # fmt: skip
"""Words of an `outcome` column that say that the transaction did not happen, or not yet."""

_ZERO = "(0x|\\\\x)?(0{24})?0{40}"


def _one_of(words: Iterable[str], value: str) -> str:
    return f"list_contains([{', '.join(quote(w) for w in words)}], {value})"


def undone(plan: Plan) -> str:
    """Whether the row says that its event was taken back, or that its transaction failed."""
    stated = [
        _one_of(words, f"trim(lower({quote_name(plan.columns[role])}::varchar))")
        for role, words in (("undone", TRUE_WORDS), ("outcome", FAILED_WORDS))
        if role in plan.columns
    ]
    return f"coalesce({' or '.join(stated)}, false)" if stated else "false"


def market_of(plan: Plan) -> dict[str, str]:
    """Primary or secondary, where the row, its event or its seller says so; and whether the event is no sale."""
    stated = ["_w_sale_type"] if "sale_type" in plan.columns else []
    columns: dict[str, str] = {}
    if "is_primary" in plan.columns:
        flag = quote_name(plan.columns["is_primary"])
        stated.append(f"case when {_one_of(TRUE_WORDS, f'lower({flag}::varchar)')} then 'primary' end")
    if "event" in plan.columns:
        words = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in SALE_EVENTS.items() if v)
        event = "regexp_replace(lower(_w_event), '[ -]+', '_', 'g')"
        stated.append(f"map {{{words}}}[{event}]")
        known = f"coalesce({_one_of(SALE_EVENTS, event)}, false)"
        # A word that we do not know says nothing, unless others beside it name sales.
        strange = f"({event} is not null and not {known} and bool_or({known}) over ())"
        columns["_no_sale"] = f"coalesce({_one_of(OTHER_EVENTS, event)} or {strange}, false)"
    if "seller" in plan.columns:
        stated.append(f"case when regexp_full_match(lower(_w_seller), '{_ZERO}') then 'primary' end")
    columns["sale_type"] = f"coalesce({', '.join(stated)})" if stated else "null::varchar"
    return columns
