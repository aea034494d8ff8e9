"""The floor is what can be bought now; its proxy is moved to the time of the estimate."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ml.pricing.rescoring import collections_to_score
from ml.pricing.scoring import score
from ml.tables.registry import table
from ml.tables.writing import append
from tests.unit.ml.conftest import END, FEATURES, Market

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MADE = END - DAY


def ask(number: int, price: float | None, at: datetime = MADE, **changes: Any) -> dict[str, Any]:
    """A live ask for token `number` of apes by its owner."""
    row = {
        "listing_event_id": f"e{number}{at}{changes.get('event_kind', '')}",
        "chain": "ethereum",
        "collection": "apes",
        "token_id": str(number),
        "order_id": f"o{number}",
        "event_kind": "created",
        "side": "ask",
        "price_eth": price,
        "currency": "ETH",
        "maker": f"owner of {number}",
        "event_time": at,
        "time_uncertainty_s": 0.0,
        "known_at": at,
        "valid_until": END + DAY,
        "source": "test",
    }
    return {**row, **changes}


def floors(market: Market, asks: list[dict[str, Any]], as_of: datetime = END) -> dict[str, Any]:
    """The floor of apes in its estimates, which are for END."""
    listings = table("marts.fct_listings")
    with market.lake.write("asks") as con:
        # the market's sales are of random tokens and times: here a token has only moved where a test moves it
        con.execute("update marts.fct_sales set token_id = 't' || token_id where sale_id <> 'sold'")
        append(con, listings.name, pa.Table.from_pylist(asks, schema=listings.arrow()))
        score(con, market.artifacts, as_of, 7, features=FEATURES)
        cursor = con.execute(
            "select distinct lowest_ask_eth, lowest_ask_at, live_asks, floor_proxy_eth"
            " from predictions.token_estimates where collection = 'apes'"
        )
        names = [column[0] for column in cursor.description or []]
        (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def test_the_lowest_live_ask_is_the_floor_with_its_time(market: Market) -> None:
    found = floors(market, [ask(1, 0.9), ask(2, 0.7, END - 3 * HOUR), ask(3, 0.8)])
    assert (found["lowest_ask_eth"], found["lowest_ask_at"], found["live_asks"]) == (0.7, END - 3 * HOUR, 3)


@pytest.mark.parametrize(
    ("why", "others"),
    [
        ("cancelled", [ask(2, 0.7), ask(2, 0.7, END - HOUR, event_kind="cancelled")]),
        ("filled", [ask(2, 0.7), ask(2, 0.7, END - HOUR, event_kind="filled")]),
        ("its time is over", [ask(2, 0.7, valid_until=END)]),
        ("without an end and old", [ask(2, 0.7, END - 31 * DAY, valid_until=None)]),
        ("known too late", [ask(2, 0.7, END)]),
        ("a bid", [ask(2, 0.7, side="bid")]),
        ("for no token", [ask(2, 0.7, token_id=None)]),
        ("without a price in ETH", [ask(2, None)]),
        ("dust", [ask(2, 0.0001)]),
        ("zero", [ask(2, 0.0)]),
        ("replaced by a newer ask of the same owner", [ask(1, 0.7, MADE - DAY, order_id="o0")]),
    ],
)
def test_an_ask_that_cannot_be_taken_is_no_floor(
    market: Market, why: str, others: list[dict[str, Any]]
) -> None:
    found = floors(market, [ask(1, 0.9), *others])
    assert (found["lowest_ask_eth"], found["live_asks"]) == (0.9, 1), why


def test_an_ask_without_an_end_counts_for_thirty_days(market: Market) -> None:
    assert floors(market, [ask(2, 0.7, END - 29 * DAY, valid_until=None)])["lowest_ask_eth"] == 0.7


def test_an_ask_of_a_former_owner_is_no_floor(market: Market) -> None:
    with market.lake.write("a transfer and a sale after the asks") as con:
        con.execute(
            "insert into marts.fct_holdings by name select 'apes' as collection, '2' as token_id, 'new' as owner,"
            " $1::timestamp as held_since, 'transfer' as evidence",
            [END - HOUR],
        )
        con.execute(
            "insert into marts.fct_sales by name select 'sold' as sale_id, 'apes' as collection, '3' as token_id,"
            " $1::timestamp as known_at, $1::timestamp as event_time, 1.0 as price_eth, false as is_arms_length",
            [END - HOUR],
        )
    found = floors(market, [ask(1, 0.9), ask(2, 0.7), ask(3, 0.6)])
    assert (found["lowest_ask_eth"], found["live_asks"]) == (0.9, 1)


def test_without_asks_the_proxy_is_moved_to_the_estimate_by_the_index(market: Market) -> None:
    still = floors(market, [])
    assert (still["lowest_ask_eth"], still["lowest_ask_at"], still["live_asks"]) == (None, None, None)
    with market.lake.write("the level doubled after the last sale") as con:
        con.execute(
            "insert into features.hedonic_index by name"
            " select sale_id, collection, seq, 0.1 as a_level from marts.fct_sales"
            " where collection = 'apes' and seq > 3"
        )
        con.execute(
            "insert into features.token_index by name"
            " select 'apes' as collection, '1' as token_id, 0.1 + ln(2) as a_level"
        )
    moved = floors(market, [])
    assert moved["floor_proxy_eth"] == pytest.approx(2 * still["floor_proxy_eth"], rel=1e-5)


def test_estimates_without_a_floor_are_made_again_once(market: Market) -> None:
    floors(market, [])
    with market.lake.write("as before floors were kept") as con:
        con.execute(
            "update predictions.token_estimates set floor_proxy_eth = null where collection <> 'apes'"
        )
        again = collections_to_score(con, END, FEATURES)
        assert again is not None
        assert "birds" in again
        assert "apes" not in again
        score(con, market.artifacts, END, 7, features=FEATURES)
        assert collections_to_score(con, END, FEATURES) == []
