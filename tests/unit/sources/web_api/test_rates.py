"""Rates: the close of an hour, known at its end, from every service; never of the future."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from sources.configuration import SourcesFileError, parse_sources
from sources.rates.decoding import Decoder
from sources.rates.formats import COINGECKO, EXCHANGES
from sources.web_api.client import ApiClient
from sources.web_api.source import WebApiSource
from tests.http_server import Reply, Request, serving_http
from tests.market import rates
from tests.unit.sources.conftest import read_all

NOW = datetime(2024, 3, 1, 12, 20)  # noqa: DTZ001 - UTC without a zone
SERVICES = {"coingecko": COINGECKO, **EXCHANGES}


class Served:
    now = NOW
    url = ""
    asked = 0

    def answer(self, request: Request) -> Reply:
        self.asked += 1
        date = {"date": format_datetime(self.now.replace(tzinfo=UTC), usegmt=True)}
        reply = rates.answer(request, int(self.now.replace(tzinfo=UTC).timestamp()))
        return Reply(200, date, reply.document)

    def open(
        self, service: str, cache: Path, granularity: str = "hour", overlap_s: int = 7200
    ) -> WebApiSource:
        form = SERVICES[service]
        return WebApiSource(
            service,
            ApiClient(self.url),
            [form.stream("ETH", "eth-usd", granularity, overlap_s)],
            Decoder(["ETH"], form.close, granularity),
            start="2024-02-10",
            cache=cache,
            now=lambda: self.now,
        )


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    with serving_http(served.answer) as url:
        served.url = url
        yield served


@pytest.mark.parametrize("service", SERVICES)
def test_each_hour_has_its_close_once_known_at_its_end(served: Served, service: str, tmp_path: Path) -> None:
    overlap = 0 if service == "coingecko" else 7200
    read_all(served.open(service, tmp_path, overlap_s=overlap), "exchange_rates")
    served.now = NOW + timedelta(hours=5)
    source = served.open(service, tmp_path, overlap_s=overlap)
    rows, refused = read_all(source, "exchange_rates")
    found = rows.to_pylist()
    first = datetime(2024, 2, 10)  # noqa: DTZ001 - UTC without a zone
    hours = [first + timedelta(hours=n) for n in range(20 * 24 + 17)]
    assert [r["event_time"] for r in found] == hours
    assert all(r["known_at"] == r["event_time"] + timedelta(hours=1) <= served.now for r in found)
    unix = [int(r["event_time"].replace(tzinfo=UTC).timestamp()) // 3600 for r in found]
    assert [r["rate"] for r in found] == [rates.price(hour) for hour in unix]
    assert {(r["symbol"], r["quote"], r["granularity"]) for r in found} == {("ETH", "USD", "hour")}
    assert refused.num_rows == 0
    assert source.incidents() == []


def test_a_day_is_over_before_its_rate_is_known(served: Served, tmp_path: Path) -> None:
    rows, _ = read_all(served.open("coingecko", tmp_path, "day", 0), "exchange_rates")
    found = rows.to_pylist()
    assert [r["event_time"].day for r in found] == list(range(10, 30))
    assert found[-1]["known_at"] == datetime(2024, 3, 1)  # noqa: DTZ001 - UTC without a zone
    last = int(datetime(2024, 2, 29, 23, tzinfo=UTC).timestamp()) // 3600
    assert found[-1]["rate"] == rates.price(last)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("candles", {"pairs": "ETH=ETHUSDT"}, "markets in USD"),
        ("candles", {"pairs": "ETH=ETH-USD", "exchange": "mine"}, "exchange"),
        ("candles", {"pairs": "ETH"}, "ETH=ethereum"),
        ("coingecko", {"pairs": "ETH=ethereum,eth=weth"}, "each symbol once"),
        ("coingecko", {"pairs": "ETH=ethereum", "url": "http://api.example/v3"}, "https://"),
        ("coingecko", {"pairs": "ETH=ethereum", "url": "https://key@api.example"}, "without a key"),
        ("coingecko", {"pairs": "ETH=ethereum", "key_from": "ASSAY_KEY"}, "ASSAY_"),
        ("coingecko", {"pairs": "ETH=../admin"}, "ETH=ethereum"),
        ("coingecko", {"pairs": "ETH=ethereum", "start": "soon"}, "2024-01-31"),
        ("opensea", {"slugs": " , "}, "found none"),
        ("opensea", {"slugs": "a", "events": "sale,party"}, "party"),
        ("listings_api", {"path": "/a", "mapping": {"price": "p"}}, "collection or contract"),
        ("listings_api", {"path": "/a", "mapping": {"cost": "p"}}, "'cost'"),
        ("listings_api", {"path": "a b", "mapping": {}}, "path"),
    ],
)
def test_impossible_settings_are_refused(kind: str, options: dict[str, Any], expected: str) -> None:
    entry = {"name": "one", "kind": kind, "start": "2024-01-01", **options}
    if kind == "listings_api":
        entry["url"] = "https://api.example"
    with pytest.raises(SourcesFileError) as error:
        parse_sources([entry], "here")
    assert expected in str(error.value)


def test_an_exchange_has_its_own_address_unless_another_is_set() -> None:
    entry = {
        "name": "one",
        "kind": "candles",
        "start": "2024-01-01",
        "pairs": "eth=ETHUSD",
        "exchange": "kraken",
    }
    (one,) = parse_sources([entry], "here")
    (other,) = parse_sources([{**entry, "url": "http://127.0.0.1:9"}], "here")
    assert (one.options["url"], other.options["url"]) == ("https://api.kraken.com", "http://127.0.0.1:9")
    assert one.options["pairs"] == "ETH=ETHUSD"
