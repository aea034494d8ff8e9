"""Positive controls: each leak, taken, gives better numbers. A guard that could not fail would guard nothing.

Each control computes on the planted home what a careless query would, and compares its error on the victims with the
error of the same query done right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.leaks.conftest import Case
from tests.leaks.market import FILLED
from tests.leaks.plants import victims

# The victims with everything the planted home knows of their collection; `{visible}` is the rule under test.
_MEDIAN_OF_VISIBLE = """
with victims as (
    select sale_id, collection, token_id, event_time, as_of, tx_hash, price_eth from marts.fct_sales
    where collection = '{collection}' and tx_hash in (select unnest($1)) and log_index = 0
)
select v.sale_id, any_value(v.price_eth) as price, median(o.price_eth) as estimate
from victims as v
inner join (
    select *, row_number() over (partition by collection order by known_at desc) as age from marts.fct_sales
) as o on v.collection = o.collection and o.sale_id <> v.sale_id and {visible}
group by v.sale_id
"""


def _errors(rows: list[dict[str, Any]]) -> float:
    """Median absolute percentage error."""
    estimate = np.array([row["estimate"] for row in rows], float)
    price = np.array([row["price"] for row in rows], float)
    assert len(rows) > 0
    return float(np.median(np.abs(estimate / price - 1)))


def _hashes(case: Case, collection: str) -> list[str]:
    return [row["tx_hash"] for row in victims(case.base, collection)]


def _medians(case: Case, collection: str, visible: str) -> float:
    sql = _MEDIAN_OF_VISIBLE.format(collection=collection, visible=visible)
    return _errors(case.home.query(sql, _hashes(case, collection)))


RECENT = "o.event_time > v.event_time - interval 4 days"


ALIKE = "o.token_id::int % 3 = v.token_id::int % 3"


@pytest.mark.parametrize(
    ("collection", "careless"),
    [
        ("sweep", "o.tx_hash = v.tx_hash"),
        ("sweep", f"o.event_time = v.event_time and {ALIKE}"),
        ("vague", "o.event_time <= v.event_time and o.event_time > v.event_time - interval 11 minutes"),
    ],
)
def test_sales_of_the_same_moment_would_pay(case: Case, collection: str, careless: str) -> None:
    careful = _medians(case, collection, f"o.known_at < v.as_of and {RECENT} and {ALIKE}")
    assert _medians(case, collection, careless) < 0.7 * careful


def test_the_filled_listing_would_pay(case: Case) -> None:
    """The token's newest ask before the sale is the sale's price."""
    rows = []
    for name in FILLED:
        rows += case.home.query(
            """
            select v.price_eth as price, l.price_eth as estimate from marts.fct_sales as v
            inner join marts.fct_listings as l
                on v.collection = l.collection and v.token_id = l.token_id
                and l.event_kind = 'created' and l.known_at < v.as_of
            where v.collection = $1 and v.tx_hash in (select unnest($2))
            qualify row_number() over (partition by v.sale_id order by l.known_at desc) = 1
            """,
            name,
            _hashes(case, name),
        )
    assert _errors(rows) < 1e-9 < _published_error(case, FILLED)


def _published_error(case: Case, collections: tuple[str, ...]) -> float:
    found = [case.before[r["tx_hash"] + ":0"] for name in collections for r in victims(case.base, name)]
    return _errors([{"price": r["price_eth"], "estimate": np.exp(r["prediction_log"])} for r in found])


def test_listings_by_their_event_time_would_pay(case: Case) -> None:
    """The newest collection bid by event time, against the newest by the time we knew it."""
    error = {}
    for clock in ("event_time", "known_at"):
        error[clock] = _errors(
            case.home.query(
                f"""
                select v.price_eth as price, coalesce(l.price_eth, state.med_30) as estimate
                from marts.fct_sales as v
                asof left join (select * from marts.fct_listings where side = 'bid' and event_kind = 'created') as l
                    on v.collection = l.collection and v.as_of > l.{clock}
                left join marts.fct_collection_state as state
                    on v.collection = state.collection and v.seq - 1 = state.seq
                where v.collection = 'late_listing' and v.seq > 5
                """
            )
        )
    assert error["event_time"] < 0.5 * error["known_at"]


def test_traits_revealed_later_would_pay(case: Case) -> None:
    """What a trait turned out to be worth, added to the estimate that could not know it."""
    hats = case.home.query(
        "select token_id, trait_values[2] = 'crown' as has_it from marts.dim_tokens where collection = 'reveal'"
    )
    has_hat = {row["token_id"]: row["has_it"] for row in hats}
    sales = [r for r in case.before.values() if r["collection"] == "reveal" and r["base_log"] is not None]
    has = np.array([has_hat[r["token_id"]] for r in sales])
    log_price = np.log([r["price_eth"] for r in sales])
    gap = log_price - np.array([r["base_log"] for r in sales])
    known = gap - np.where(has, np.median(gap[has]), np.median(gap[~has]))
    assert np.median(np.abs(known)) < 0.8 * np.median(np.abs(gap))


def test_hindsight_flags_would_pay(case: Case) -> None:
    """Leaving out what turned out to be wash leaves out sales that were called clean when they were judged."""
    suspects = case.home.query(
        """
        select v.sale_id, v.is_wash, count(*) filter (where l.is_wash) as later
        from marts.fct_sales as v
        inner join marts.fct_sales as l
            on v.collection = l.collection and v.token_id = l.token_id and l.known_at > v.known_at
            and least(v.buyer, v.seller) = least(l.buyer, l.seller)
        where v.collection = 'washed' and v.tx_hash in (select unnest($1))
        group by all
        """,
        _hashes(case, "washed"),
    )
    assert len(suspects) == len(victims(case.base, "washed"))
    assert all(row["later"] >= 3 and not row["is_wash"] for row in suspects)


def test_late_rates_would_pay(case: Case) -> None:
    """With the rate of the day itself a price in another currency lies closer to what was paid in ether."""
    paid = {
        r["tx_hash"]: r["price_native"]
        for r in case.base["sales"]
        if r["collection"] == "rates" and r["currency"] == "MANA"
    }
    rows = case.home.query(
        """
        select s.tx_hash, s.price_eth, s.price_native * (1.0 + 0.35 * (
            (date_diff('day', timestamp '2023-03-01', date_trunc('day', s.event_time))) % 2)) / 1500.0 as by_late_rate
        from marts.fct_sales as s
        where s.collection = 'rates' and s.currency = 'MANA'
        """
    )
    assert len(rows) == len(paid) > 8
    wrong = [abs(np.log(row["price_eth"] / row["by_late_rate"])) for row in rows]
    assert np.median(wrong) > 0.25  # what a late rate would have shown, and the known one could not


def test_statistics_over_all_time_would_pay(case: Case) -> None:
    """A token's mean price around the sale contains the future; how often it ever sells follows its price."""
    rows = case.home.query(
        """
        select v.price_eth as price, avg(e.price_eth) as estimate, count(*) as sales
        from marts.fct_sales as v
        inner join marts.fct_sales as e
            on v.collection = e.collection and v.token_id = e.token_id
            and e.event_time between v.event_time - interval 1 day and v.event_time + interval 2 days
        where v.collection = 'targets' and v.tx_hash in (select unnest($1))
        group by v.sale_id, v.price_eth
        """,
        _hashes(case, "targets"),
    )
    careful = _medians(case, "targets", f"o.known_at < v.as_of and {RECENT}")
    assert _errors(rows) < 0.5 * careful
    assert np.corrcoef([r["sales"] for r in rows], np.log([r["price"] for r in rows]))[0, 1] < -0.3
