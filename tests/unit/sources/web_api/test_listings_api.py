"""Any JSON API of listings: values named by paths, events of orders or a list of what stands."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sources.configuration import parse_sources, read_sources, sources_as_yaml
from sources.listings_api.decoding import Decoder
from sources.listings_api.settings import ListingsApiConfig
from sources.web_api.client import ApiClient
from sources.web_api.source import WebApiSource
from tests.http_server import Reply, Request, serving_http
from tests.market.opensea import CONTRACT, ETH, NATIVE, NOW, account, order_hash, unix
from tests.unit.sources.conftest import read_all

ENTRY: dict[str, Any] = {
    "name": "venue",
    "kind": "listings_api",
    "url": "https://api.example/v1",
    "start": "2024-02-01",
    "path": "/orders?status=all",
    "items": "data.orders",
    "limit": "limit=2",
    "cursor": "page=data.more",
    "mapping": {
        "order_id": "id",
        "contract": "nft.address",
        "token_id": "nft.number",
        "side": "type",
        "price_raw": "price.wei",
        "currency_address": "price.token",
        "event_time": "at",
        "valid_until": "until",
        "maker": "by",
        "marketplace": "=venue",
    },
}
FIRST = unix(NOW - timedelta(days=20))


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": order_hash(number),
        "nft": {"address": CONTRACT.upper().replace("X", "x"), "number": number},
        "type": "sell",
        "price": {"wei": str(number * ETH), "token": NATIVE},
        "at": (FIRST + number) * 1000,
        "until": FIRST + 86_400 * 90,
        "by": account(number),
        **changes,
    }


class Venue:
    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.now = NOW
        self.url = ""

    def answer(self, request: Request) -> Reply:
        first = int(request.params.get("page", 0))
        found = self.orders
        if "from" in request.params:
            times = range(int(request.params["from"]), int(request.params["to"]))
            found = sorted((o for o in found if o["at"] // 1000 in times), key=lambda o: -o["at"])
        more = first + 2 if first + 2 < len(found) else None
        data = {"data": {"orders": found[first : first + 2], "more": more}}
        return Reply(200, {"date": self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")}, data)

    def open(self, cache: Path, **changes: Any) -> WebApiSource:
        (config,) = parse_sources([{**ENTRY, **changes}], "here")
        assert isinstance(config, ListingsApiConfig)
        return WebApiSource(
            "listings_api",
            ApiClient(self.url),
            [config.stream()],
            Decoder(config.paths, "ethereum"),
            start="2024-02-01",
            cache=cache,
            now=lambda: self.now,
        )


@pytest.fixture
def venue() -> Iterator[Venue]:
    venue = Venue()
    with serving_http(venue.answer) as url:
        venue.url = url
        yield venue


def test_a_list_of_what_stands_is_read_by_its_mapping(venue: Venue, tmp_path: Path) -> None:
    venue.orders = [order(n) for n in range(1, 6)] + [
        order(6, type="buy"),
        order(7, price={"wei": "1", "token": "x"}),
    ]
    rows, refused = read_all(venue.open(tmp_path), "listings")
    found = [
        (r["token_id"], r["side"], r["price_native"], r["currency"], r["event_kind"])
        for r in rows.to_pylist()
    ]
    assert sorted(found) == [
        *((str(n), "ask", float(n), "ETH", "created") for n in range(1, 6)),
        ("6", "bid", 6.0, "ETH", "created"),
    ]
    assert refused.column("reason").to_pylist() == ["wrong_type"]  # of what, it does not say
    venue.orders = venue.orders[1:]
    for hour in (1, 2):
        venue.now = NOW + timedelta(hours=hour)
        source = venue.open(tmp_path)
        source.watermark()
    ended = [r for r in read_all(source, "listings")[0].to_pylist() if r["event_kind"] != "created"]
    assert [(r["token_id"], r["event_kind"]) for r in ended] == [("1", "cancelled")]


def test_events_of_orders_are_read_by_time(venue: Venue, tmp_path: Path) -> None:
    events = [order(n, what="listed") for n in range(1, 4)]
    events += [
        order(1, what="canceled", at=(FIRST + 50) * 1000),
        order(2, what="sold", at=(FIRST + 60) * 1000),
    ]
    events += [order(3, what="exploded", at=(FIRST + 70) * 1000)]
    venue.orders = events
    mapping = {**ENTRY["mapping"], "event_kind": "what"}
    source = venue.open(tmp_path, mapping=mapping, window="from=to")
    rows, refused = read_all(source, "listings")
    found = [(r["token_id"], r["event_kind"], r["price_native"]) for r in rows.to_pylist()]
    assert found == [
        ("1", "created", 1.0),
        ("2", "created", 2.0),
        ("3", "created", 3.0),
        ("1", "cancelled", 1.0),
        ("2", "filled", 2.0),
    ]
    assert [(r["reason"], r["found"]) for r in refused.to_pylist()] == [("unknown_value", "exploded")]


def test_the_settings_are_written_as_they_were_read(tmp_path: Path) -> None:
    text = {**ENTRY, "mapping": json.dumps(ENTRY["mapping"])}
    (config,) = parse_sources([text], "here")  # as on the command line
    file = tmp_path / "sources.yaml"
    file.write_text(sources_as_yaml([config]))
    assert read_sources(file) == (config,)
    assert config == parse_sources([ENTRY], "here")[0]


def recorded() -> Path:
    folder = os.environ.get("ASSAY_TEST_DATA", "../shared/data")
    return Path(folder) / "fixtures" / "opensea_stream_item_cancelled_2026-08-05.json"


@pytest.mark.skipif(not recorded().exists(), reason="no recorded messages: set ASSAY_TEST_DATA")
def test_a_recorded_message_in_a_currency_and_on_a_chain_that_are_not_known_is_refused(
    venue: Venue, tmp_path: Path
) -> None:
    message = json.loads(recorded().read_text())
    mapping = {
        "order_id": "payload.order_hash",
        "event_kind": "event_type",
        "chain": "payload.chain",
        "collection": "payload.collection.slug",
        "side": "=ask",
        "price_raw": "payload.base_price",
        "currency": "payload.payment_token.symbol",
        "currency_address": "payload.payment_token.address",
        "decimals": "payload.payment_token.decimals",
        "event_time": "payload.event_timestamp",
    }
    message["at"] = 0
    message["payload"]["event_timestamp"] = "2024-02-10T01:59:38.146000Z"
    venue.orders = [message]
    rows, refused = read_all(venue.open(tmp_path, mapping=mapping), "listings")
    assert rows.num_rows == 0
    assert refused.column("reason").to_pylist() == ["unknown_chain"]
    known = {**message, "payload": {**message["payload"], "chain": "ethereum", "order_hash": order_hash(1)}}
    venue.orders = [message, known]
    venue.now = NOW + timedelta(hours=1)
    rows, _ = read_all(venue.open(tmp_path, mapping=mapping), "listings")
    (row,) = rows.to_pylist()
    # On Ethereum the zero address is ether, whatever its name is.
    assert (row["event_kind"], row["price_native"], row["currency"]) == ("cancelled", 22_000.0, "ETH")
