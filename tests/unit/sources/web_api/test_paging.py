"""Cursors that repeat, end early or fail, events that come late, clocks that differ, a process that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from sources.protocol import SourceError
from sources.web_api.client import ApiUnavailableError
from tests.http_server import Reply, Request
from tests.market.opensea import ETH, NOW, Fault, OpenSea, sale, unix
from tests.unit.sources.conftest import read_all
from tests.unit.sources.web_api.conftest import FIRST, Opened

SMALL_PAGES = {"page_size": 8, "traits": False, "standing": False}


def keys(rows: pa.Table) -> Counter[str]:
    return Counter(rows.column("tx_hash").to_pylist())


def expected(market: OpenSea) -> Counter[str]:
    return Counter(e["transaction"] for e in market.events if e["event_type"] == "sale")


def sales_pages(market: OpenSea) -> list[Request]:
    return [r for r in market.asked if r.params.get("event_type") == "sale"]


def of_sales(fault: Fault) -> Fault:
    return lambda request: fault(request) if request.params.get("event_type") == "sale" else None


def test_all_pages_are_read_and_a_second_reading_changes_nothing(market: OpenSea, opened: Opened) -> None:
    rows, refused = read_all(opened(**SMALL_PAGES), "sales")
    assert keys(rows) == expected(market)
    assert refused.num_rows == 0
    again, _ = read_all(opened(**SMALL_PAGES), "sales")
    assert again.equals(rows)


def third_page(request: Request, following: str | None) -> Reply | None:
    """The third page, with another cursor than it has."""
    if request.params.get("next") != "16":
        return None
    first, end = int(request.params["after"]), int(request.params["before"])
    found = [sale(FIRST + n * 36_000, n % 10, ETH * (100 + n) // 100) for n in range(60)]
    found = [e for e in reversed(found) if first <= e["event_timestamp"] < end]
    return Reply(document={"asset_events": found[16:24], "next": following})


def repeated(request: Request) -> Reply | None:
    """The cursor of the third page leads to itself."""
    return third_page(request, "16")


def early(request: Request) -> Reply | None:
    """The third page is full and said to be the last."""
    return third_page(request, None)


def last_fails(request: Request) -> Reply | None:
    """The last page of the first question always fails."""
    return Reply(599, {}, {}) if int(request.params.get("next", 0)) >= 56 else None


def refused(request: Request) -> Reply | None:
    """No cursor is known."""
    return Reply(400, {}, {"errors": ["bad cursor"]}) if "next" in request.params else None


def without_after(request: Request) -> Reply | None:
    """The first time that is asked for is not obeyed: history goes on for ever."""
    position, end = int(request.params.get("next", 0)), int(request.params["before"])
    newest = (min(end - 1, FIRST + 59 * 36_000) - FIRST) // 36_000
    places = [newest - n for n in range(position, position + 8)]
    found = [sale(FIRST + n * 36_000 - (n < 0) * 10**6, 1, ETH) for n in places]
    return Reply(document={"asset_events": found, "next": str(position + 8)})


@pytest.mark.parametrize("fault", [repeated, early, last_fails, refused, without_after])
def test_a_cursor_that_cannot_be_trusted_loses_no_event(
    market: OpenSea, opened: Opened, fault: Fault
) -> None:
    market.fault = of_sales(fault)
    source = opened(**SMALL_PAGES)
    rows, _ = read_all(source, "sales")
    assert keys(rows).keys() == expected(market).keys()
    assert source.incidents() == []


@pytest.mark.parametrize("excludes", [True, False])
def test_events_on_the_border_of_two_stretches_are_read_once(
    market: OpenSea, opened: Opened, excludes: bool
) -> None:
    market.excludes = excludes
    until = unix(NOW) - 900
    market.events = [sale(until + seconds, 1, ETH) for seconds in (-1, 0, 1)]
    options = {**SMALL_PAGES, "events": "sale", "overlap_h": 0}
    opened(**options).watermark()
    market.now = NOW + timedelta(hours=1)
    rows, _ = read_all(opened(**options), "sales")
    assert keys(rows) == expected(market)
    assert rows.column("known_at").equals(rows.column("event_time"))


def test_pages_that_never_end_leave_the_stretch_unread_and_alert(market: OpenSea, opened: Opened) -> None:
    same = [sale(FIRST, n, ETH) for n in range(8)]
    market.fault = of_sales(lambda _: Reply(document={"asset_events": same, "next": "again"}))
    # One second holds more than a page, and the cursor repeats: nothing says that this is all.
    market.events = [e for e in market.events if e["event_type"] != "sale"]
    market.now = NOW - timedelta(days=29) + timedelta(seconds=901)
    source = opened(**SMALL_PAGES)
    source.watermark()
    (incident,) = source.incidents()
    assert "cursor that repeats" in incident.what
    assert incident.closed_at is None


def test_a_failing_stream_is_an_incident_until_it_is_read_again(market: OpenSea, opened: Opened) -> None:
    market.fault = of_sales(lambda _: Reply(503, {}, b""))
    source = opened(**SMALL_PAGES)
    assert read_all(source, "sales")[0].num_rows == 0
    assert read_all(source, "listings")[0].num_rows == 10
    assert [i.closed_at for i in source.incidents()] == [None]
    market.fault = lambda _: None
    again = opened(now=NOW + timedelta(hours=1), **SMALL_PAGES)
    rows, _ = read_all(again, "sales")
    assert keys(rows) == expected(market)
    # Nobody had read that stream: its events are known when they happened.
    assert rows.column("known_at").equals(rows.column("event_time"))
    assert [i.closed_at is None for i in again.incidents()] == [False]


def test_an_api_that_is_down_cannot_be_read_and_what_was_read_stays(market: OpenSea, opened: Opened) -> None:
    read_all(opened(**SMALL_PAGES), "sales")
    market.fault = lambda _: Reply(503, {}, b"")
    with pytest.raises(ApiUnavailableError, match="HTTP 503"):
        opened(**SMALL_PAGES).watermark()
    market.fault = lambda _: None
    assert keys(read_all(opened(**SMALL_PAGES), "sales")[0]) == expected(market)


def test_another_format_is_an_incident_and_loses_nothing(market: OpenSea, opened: Opened) -> None:
    market.fault = of_sales(lambda _: Reply(document={"events": [], "cursor": None}))
    source = opened(**SMALL_PAGES)
    source.watermark()
    (incident,) = source.incidents()
    assert "the API has changed its format" in incident.what
    market.fault = lambda _: None
    rows, _ = read_all(opened(now=NOW + timedelta(minutes=1), **SMALL_PAGES), "sales")
    assert keys(rows) == expected(market)


def test_an_event_that_comes_late_is_read_once_and_known_when_it_was_found(
    market: OpenSea, opened: Opened
) -> None:
    first, _ = read_all(opened(**SMALL_PAGES), "sales")
    late = sale(unix(NOW - timedelta(hours=3)), 7, ETH)
    corrected = {**market.events[59], "payment": {**market.events[59]["payment"], "quantity": str(5 * ETH)}}
    market.events += [late]
    market.events[59] = corrected
    market.now = NOW + timedelta(hours=1)
    source = opened(**SMALL_PAGES, overlap_h=240)
    rows, _ = read_all(source, "sales")
    more = rows.slice(0, rows.num_rows)
    assert rows.num_rows == first.num_rows + 2
    by_hash = {r["tx_hash"]: r for r in more.to_pylist()}
    found_at = NOW + timedelta(hours=1) - timedelta(seconds=900)
    assert by_hash[late["transaction"]]["known_at"] == found_at
    assert by_hash[late["transaction"]]["event_time"] == NOW - timedelta(hours=3)
    # Both reports of the corrected sale are there, with one key; the marts decide.
    both = [r for r in rows.to_pylist() if r["tx_hash"] == corrected["transaction"]]
    assert [(r["price_native"], r["sub_index"]) for r in both] == [(1.59, 0), (5.0, 0)]
    assert both[1]["known_at"] == found_at
    # What was delivered before is still the same.
    assert (
        rows.filter(pa.compute.less(rows.column("known_at"), pa.scalar(found_at))).num_rows == first.num_rows
    )


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_clock_that_differs_a_little_neither_loses_nor_repeats(
    market: OpenSea, opened: Opened, ahead: timedelta
) -> None:
    market.now = NOW + ahead
    market.events.append(sale(unix(NOW - timedelta(hours=2)), 3, ETH))
    opened(**SMALL_PAGES, now=NOW).watermark()
    market.now += timedelta(hours=6)
    rows, refused = read_all(opened(**SMALL_PAGES, now=NOW + timedelta(hours=6)), "sales")
    assert keys(rows) == expected(market)
    assert refused.num_rows == 0


def test_a_clock_that_is_years_away_is_refused(market: OpenSea, opened: Opened) -> None:
    market.now = NOW + timedelta(days=700)
    with pytest.raises(SourceError, match="set the clock that is wrong"):
        opened(**SMALL_PAGES, now=NOW).watermark()


def test_an_event_of_the_far_future_is_in_quarantine(market: OpenSea, opened: Opened) -> None:
    strange = sale(unix(NOW + timedelta(days=900)), 3, ETH)
    market.fault = of_sales(lambda _: Reply(document={"asset_events": [strange], "next": None}))
    rows, refused = read_all(opened(**SMALL_PAGES), "sales")
    assert rows.num_rows == 0
    assert refused.column("reason").to_pylist() == ["future_timestamp"]


READ = """
import sys
from datetime import datetime
from pathlib import Path
from tests.unit.sources.web_api.conftest import open_market
now = datetime.fromisoformat(sys.argv[3])
options = dict(page_size=8, traits=False, standing=False, events="sale")
open_market(sys.argv[1], Path(sys.argv[2]), now, **options).watermark()
"""


def test_killed_in_the_middle_it_goes_on_after_the_last_whole_page(
    market: OpenSea, opened: Opened, tmp_path: Path
) -> None:
    child: list[subprocess.Popen[bytes]] = []

    def kill(request: Request) -> Reply | None:
        if request.params.get("next") == "32":
            child.pop().send_signal(signal.SIGKILL)
        return None

    market.fault = of_sales(kill)
    command = [sys.executable, "-c", READ, market.url, str(tmp_path / "cache"), NOW.isoformat()]
    child.append(subprocess.Popen(command))
    started = child[0]
    assert started.wait(timeout=60) == -signal.SIGKILL
    market.asked.clear()
    market.fault = lambda _: None
    market.now = NOW + timedelta(hours=1)
    market.events.append(sale(unix(NOW), 4, ETH))
    rows, _ = read_all(opened(**SMALL_PAGES, events="sale"), "sales")
    assert keys(rows) == expected(market)
    assert [r.params.get("next") for r in sales_pages(market)][:2] == ["32", "40"]
