"""What OpenSea's items mean: sales, the lives of orders, traits; and what is never guessed."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sources.opensea.decoding import Decoder
from sources.web_api.rows import batch_of
from sources.web_api.store import Store
from tests.http_server import Reply
from tests.market.opensea import (
    CONTRACT,
    ETH,
    NATIVE,
    NOW,
    SLUG,
    WETH,
    OpenSea,
    account,
    bid,
    cancelled,
    listed,
    order_hash,
    sale,
    standing,
    transfer,
    unix,
)
from tests.unit.sources.conftest import read_all
from tests.unit.sources.web_api.conftest import FIRST, Opened

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
SETTLED = timedelta(seconds=900)
LATER = FIRST + 40 * 86_400


def listings(source: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_all(source, "listings")[0].to_pylist()
    return rows


def life(rows: list[dict[str, Any]], order: int) -> list[tuple[Any, ...]]:
    found = [r for r in rows if r["order_id"] == order_hash(order)]
    return [(r["event_kind"], r["event_time"], r["known_at"]) for r in found]


def at(seconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=seconds)  # noqa: DTZ001 - UTC without a zone


def test_a_sale_has_the_price_its_parties_and_its_transaction(market: OpenSea, opened: Opened) -> None:
    ask = listed(FIRST + 5, 3, 2 * ETH, LATER)
    offer = bid(FIRST + 6, ETH, LATER)
    market.events = [
        ask,
        offer,
        sale(FIRST + 50, 3, 2 * ETH, order_hash=ask["order_hash"]),
        sale(
            FIRST + 60,
            4,
            ETH,
            order_hash=offer["order_hash"],
            payment={
                "quantity": str(ETH),
                "token_address": WETH.upper().replace("X", "x"),
                "decimals": 18,
                "symbol": "WETH",
            },
        ),
        sale(
            FIRST + 70,
            5,
            0,
            payment={"quantity": "2500000000", "token_address": USDC, "decimals": 6, "symbol": "USDC"},
        ),
    ]
    rows, refused = read_all(opened(), "sales")
    assert refused.num_rows == 0
    found = [
        (r["token_id"], r["price_native"], r["currency"], r["side"], r["seller"], r["buyer"])
        for r in rows.to_pylist()
    ]
    assert found == [
        ("3", 2.0, "ETH", "listing_filled", account(3), account(4)),
        ("4", 1.0, "WETH", "bid_accepted", account(4), account(5)),
        ("5", 2500.0, "USDC", None, account(5), account(6)),
    ]
    assert set(rows.column("collection").to_pylist()) == {CONTRACT}


def test_two_sales_of_one_token_in_a_transaction_are_two_and_a_sweep_is_counted(
    market: OpenSea, opened: Opened
) -> None:
    tx = {"transaction": "0x" + "a" * 64}
    market.events = [
        sale(FIRST, 1, ETH, order_hash=order_hash(1), **tx),
        sale(FIRST, 1, 2 * ETH, order_hash=order_hash(2), **tx),
        sale(FIRST, 2, ETH, order_hash=order_hash(3), **tx),
    ]
    rows, _ = read_all(opened(), "sales")
    found = sorted(
        (r["token_id"], r["sub_index"], r["n_in_tx"], r["is_bundle_share"]) for r in rows.to_pylist()
    )
    assert found == [("1", 0, 2, False), ("1", 1, 2, False), ("2", 0, 2, False)]


PAYMENTS: list[tuple[dict[str, Any], float | None, str | None, str | None]] = [
    # anybody can call a token WETH
    ({"token_address": "0x" + "b" * 40, "symbol": "WETH"}, None, None, "unknown_currency"),
    # the decimals of a currency that we know are not the API's to choose
    ({"decimals": 0}, 1.0, "ETH", None),
    ({"decimals": 6, "token_address": WETH, "symbol": "USDC"}, 1.0, "WETH", None),
    ({"quantity": "-1"}, None, None, "wrong_type"),
    ({"quantity": "1.5"}, None, None, "wrong_type"),
    ({"quantity": {"wei": "1"}}, None, None, "wrong_type"),
    ({"quantity": str(10**26)}, None, None, "impossible_price"),
    ({"quantity": None}, None, "ETH", None),
    ({"token_address": "ethereum", "symbol": "USDC"}, None, None, "unknown_currency"),
    ({"symbol": None, "token_address": None}, None, None, "null_key"),
]


def test_a_price_is_right_or_refused(market: OpenSea, opened: Opened) -> None:
    proper = {"quantity": str(ETH), "token_address": NATIVE, "decimals": 18, "symbol": "ETH"}
    market.events = [
        sale(FIRST + n, n, ETH, payment={**proper, **payment}) for n, (payment, *_) in enumerate(PAYMENTS)
    ]
    rows, refused = read_all(opened(events="sale", standing=False, traits=False), "sales")
    found = {r["token_id"]: (r["price_native"], r["currency"], None) for r in rows.to_pylist()}
    found |= {json.loads(r["payload"])["token_id"]: (None, None, r["reason"]) for r in refused.to_pylist()}
    assert found == {str(n): tuple(expected) for n, (_, *expected) in enumerate(PAYMENTS)}


def test_an_order_is_created_and_cancelled_filled_or_expired(market: OpenSea, opened: Opened) -> None:
    orders = [listed(FIRST + n, n, ETH, FIRST + 10 * 86_400) for n in range(4)]
    market.events = [
        *orders,
        cancelled(FIRST + 3600, orders[0]),
        sale(FIRST + 7200, 1, ETH, order_hash=orders[1]["order_hash"]),
    ]
    market.events[3]["expiration_date"] = LATER
    rows = listings(opened())
    assert life(rows, FIRST) == [
        ("created", at(FIRST), at(FIRST)),
        ("cancelled", at(FIRST + 3600), at(FIRST + 3600)),
    ]
    assert [kind for kind, *_ in life(rows, FIRST + 1)] == ["created", "filled"]
    assert life(rows, FIRST + 2)[1:] == [("expired", at(FIRST + 864_000), at(FIRST + 864_000))]
    assert [kind for kind, *_ in life(rows, FIRST + 3)] == ["created"]


def test_a_listing_that_is_absent_twice_was_cancelled_in_between(market: OpenSea, opened: Opened) -> None:
    stays, goes, sold = (listed(FIRST + n, n, ETH, LATER) for n in range(3))
    market.events = []
    reads = [(stays, goes, sold), (stays,), (stays, goes), (stays,), (stays,)]
    for hour, orders in enumerate(reads):
        market.orders = [standing(order) for order in orders]
        market.now = NOW + timedelta(hours=hour)
        if hour == 3:
            market.events = [sale(unix(NOW) + 9000, 2, ETH, order_hash=sold["order_hash"])]
        source = opened(traits=False)
        source.watermark()
    seen = NOW + timedelta(hours=2) - SETTLED
    rows = listings(source)
    ends = {r["order_id"]: r for r in rows if r["event_kind"] == "cancelled"}
    gone = ends.pop(goes["order_hash"])
    assert gone["event_time"] == seen + timedelta(minutes=30)
    assert (gone["time_uncertainty_s"], gone["known_at"]) == (1800.0, NOW + timedelta(hours=4) - SETTLED)
    # Absent in the second and third reading, so it was reported as cancelled, and that stays when its sale is known.
    assert [kind for kind, *_ in life(rows, FIRST + 2)] == ["created", "cancelled", "filled"]
    assert [kind for kind, *_ in life(rows, FIRST)] == ["created"]
    # What stood when it was first read is known from then on only.
    assert life(rows, FIRST)[0] == ("created", at(FIRST), NOW - SETTLED)


def test_an_empty_list_where_orders_stood_is_not_believed(market: OpenSea, opened: Opened) -> None:
    market.events = []
    market.orders = [standing(listed(FIRST + n, n, ETH, LATER)) for n in range(6)]
    opened(traits=False).watermark()
    market.orders = []
    for hour in (1, 2, 3):
        market.now = NOW + timedelta(hours=hour)
        source = opened(traits=False)
        source.watermark()
    assert [i.what.split(":")[0] for i in source.incidents()] == ["listings"]
    assert [kind for kind, *_ in life(listings(source), FIRST)] == ["created"]


def test_bids_are_on_a_token_or_on_all_and_other_offers_are_left_out(market: OpenSea, opened: Opened) -> None:
    asset = sale(FIRST, 7, ETH)["nft"]
    criteria = bid(FIRST, ETH, LATER)["criteria"]
    market.events = [
        bid(FIRST + 1, ETH, LATER),
        bid(FIRST + 2, ETH, LATER, order_type="item_offer", asset=asset, criteria=None),
        bid(FIRST + 3, 9 * ETH, LATER, criteria={**criteria, "trait": {"type": "Eyes", "value": "Gold"}}),
        bid(FIRST + 4, 9 * ETH, LATER, order_type="trait_offer"),
        bid(FIRST + 5, 9 * ETH, LATER, criteria={**criteria, "encoded_token_ids": "1:5,9"}),
        listed(FIRST + 6, 1, 1, LATER, is_private_listing=True),
        listed(FIRST + 7, 1, 5 * ETH, LATER, quantity=5),
        listed(FIRST + 8, 1, 5 * ETH, LATER, order_type="raffle"),
        bid(FIRST + 9, ETH, LATER, order_type="item_offer", criteria=None),
        bid(FIRST + 10, ETH, LATER, order_type="offer", criteria=None),
    ]
    source = opened()
    rows, refused = read_all(source, "listings")
    found = [(r["side"], r["token_id"], r["price_native"], r["currency"]) for r in rows.to_pylist()]
    assert found == [("bid", None, 1.0, "WETH"), ("bid", "7", 1.0, "WETH")]
    assert Counter(refused.column("reason").to_pylist()) == {"no_single_price": 3, "null_key": 2}
    assert refused.column("found").to_pylist()[:2] == ["an offer for the tokens 1:5,9", "5 units"]


def test_transfers_tokens_and_the_collection_are_read(market: OpenSea, opened: Opened) -> None:
    market.events = [transfer(FIRST, 1), transfer(FIRST + 1, 2, event_type="mint", from_address=None)]
    eyes = {"trait_type": "Eyes", "value": "Blue"}
    market.tokens = [
        {"identifier": "1", "contract": CONTRACT, "traits": [eyes, {"trait_type": "Level", "value": 5}]}
    ]
    source = opened()
    moves, _ = read_all(source, "transfers")
    assert [(r["token_id"], r["from_address"], r["to_address"]) for r in moves.to_pylist()] == [
        ("1", account(1), account(2)),
        ("2", NATIVE, account(3)),
    ]
    # A token that goes through several hands in one transaction: in their order, however they are delivered.
    hands = [{"from_address": account(n), "to_address": account(n + 1)} for n in (6, 5, 7)]
    market.events = [transfer(FIRST + 9, 5, **hand) for hand in hands]
    market.now = NOW + timedelta(seconds=1)
    moved = [r for r in read_all(opened(overlap_h=720), "transfers")[0].to_pylist() if r["token_id"] == "5"]
    assert {r["sub_index"]: r["to_address"] for r in moved} == {0: account(6), 1: account(7), 2: account(8)}
    traits, _ = read_all(source, "token_traits")
    assert [(r["trait_type"], r["trait_value"], r["known_at"]) for r in traits.to_pylist()] == [
        ("Eyes", "Blue", source.first_known()),
        ("Level", "5", source.first_known()),
    ]
    market.tokens[0]["traits"] = [{"trait_type": "Eyes", "value": "Gold"}]
    market.now = NOW + timedelta(days=2)
    later, _ = read_all(opened(), "token_traits")
    assert [(r["trait_value"], r["known_at"]) for r in later.to_pylist()][2:] == [
        ("Gold", market.now - SETTLED)
    ]
    (collection,) = read_all(source, "collections")[0].to_pylist()
    assert (collection["collection"], collection["name"], collection["supply"]) == (
        CONTRACT,
        "Little Ghosts",
        20,
    )


def test_an_event_of_a_type_that_is_not_known_is_in_quarantine_and_one_of_another_type_is_read_there(
    market: OpenSea, opened: Opened
) -> None:
    market.events = []
    both = [sale(FIRST, 1, ETH), sale(FIRST + 1, 1, ETH, event_type="redemption"), transfer(FIRST + 2, 1)]
    # The type that was asked for is not obeyed.
    market.fault = lambda r: (
        Reply(document={"asset_events": both, "next": None}) if "event_type" in r.params else None
    )
    source = opened(events="sale,transfer")
    sales, refused = read_all(source, "sales")
    assert (sales.num_rows, refused.column("found").to_pylist()) == (1, ["redemption"])
    assert read_all(source, "transfers")[0].num_rows == 1


def recorded() -> Path:
    folder = os.environ.get("ASSAY_TEST_DATA", "../shared/data")
    return Path(folder) / "fixtures" / "opensea_v2_listings_2023-11-22.json"


@pytest.mark.skipif(not recorded().exists(), reason="no recorded answers: set ASSAY_TEST_DATA")
def test_recorded_listings_are_asks_with_the_price_of_their_terms(market: OpenSea, opened: Opened) -> None:
    answer = json.loads(recorded().read_text())
    market.events = []
    market.orders = answer["orders"]
    rows, refused = read_all(opened(), "listings")
    created = [r for r in rows.to_pylist() if r["event_kind"] == "created"]
    stated = {o["order_hash"]: int(o["current_price"]) / ETH for o in answer["orders"]}
    assert {r["order_id"]: r["price_native"] for r in created} == pytest.approx(stated)
    assert {(r["side"], r["currency"], r["marketplace"]) for r in created} == {("ask", "ETH", "opensea")}
    assert refused.num_rows == 0
    # A price that is not that of the terms is refused.
    market.orders = [{**answer["orders"][0], "current_price": "1", "order_hash": order_hash(1)}]
    market.now = NOW + timedelta(hours=1)
    _, refused = read_all(opened(), "listings")
    assert refused.column("reason").to_pylist() == ["no_single_price"]


def test_nothing_is_read_of_an_empty_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "api.sqlite")
    for table in ("sales", "transfers", "listings", "token_traits", "collections", "blocks"):
        records = list(Decoder([SLUG], "ethereum")(store, table, 0, 2**60))
        assert batch_of(table, records, source="opensea", chain="ethereum", now=NOW) is None
