"""OpenSea's API (v2) in memory: recorded shapes, invented values, and faults at will."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tests.http_server import Reply, Request, serving_http

SLUG = "little-ghosts"
CONTRACT = "0x9401518f4ebba857baa879d9f76e1cc8b31ed197"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
NATIVE = "0x" + "0" * 40
SECRET = "secretkey0123456789"
NOW = datetime(2024, 3, 1, 12)  # noqa: DTZ001 - UTC without a zone
ETH = 10**18

Fault = Callable[[Request], Reply | None]


def unix(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


def account(number: int) -> str:
    return f"0x{number + 1:040x}"


def order_hash(number: int) -> str:
    return f"0x{number + 10**9:064x}"


def sale(time: int, token: int, price: int, **changes: Any) -> dict[str, Any]:
    """An event of type sale."""
    return {
        "event_type": "sale",
        "order_hash": order_hash(time),
        "chain": "ethereum",
        "protocol_address": "0x00000000000000adc04c56bf30ac9d3c0aaf14dc",
        "closing_date": time,
        "nft": _nft(token),
        "quantity": 1,
        "seller": account(token),
        "buyer": account(token + 1),
        "payment": _payment(price, NATIVE, "ETH"),
        "transaction": f"0x{time:064x}",
        "event_timestamp": time,
        **changes,
    }


def transfer(time: int, token: int, **changes: Any) -> dict[str, Any]:
    """An event of type transfer."""
    return {
        "event_type": "transfer",
        "chain": "ethereum",
        "transaction": f"0x{time:064x}",
        "from_address": account(token),
        "to_address": account(token + 1),
        "quantity": 1,
        "nft": _nft(token),
        "event_timestamp": time,
        **changes,
    }


def listed(time: int, token: int, price: int, ends: int, **changes: Any) -> dict[str, Any]:
    """An event of type order: an ask."""
    return {
        "event_type": "order",
        "order_hash": order_hash(time),
        "order_type": "listing",
        "chain": "ethereum",
        "start_date": time,
        "expiration_date": ends,
        "asset": _nft(token),
        "quantity": 1,
        "maker": account(token),
        "taker": "",
        "payment": _payment(price, NATIVE, "ETH"),
        "criteria": None,
        "event_timestamp": time,
        "is_private_listing": False,
        **changes,
    }


def bid(time: int, price: int, ends: int, **changes: Any) -> dict[str, Any]:
    """An event of type order: a bid on any token."""
    criteria = {"collection": {"slug": SLUG}, "contract": {"address": CONTRACT}, "encoded_token_ids": "*"}
    kind = {"order_type": "collection_offer", "asset": None, "criteria": criteria}
    return listed(time, 0, price, ends, **{**kind, "payment": _payment(price, WETH, "WETH"), **changes})


def cancelled(time: int, order: dict[str, Any]) -> dict[str, Any]:
    """An event of type cancel."""
    return {**order, "event_type": "cancel", "event_timestamp": time}


def standing(event: dict[str, Any]) -> dict[str, Any]:
    """The order of an event as the lists of what stands have it."""
    payment, is_bid = event["payment"], event["order_type"] != "listing"
    asset = event["asset"]
    money = {"itemType": 1 if is_bid else 0, "token": payment["token_address"], "identifierOrCriteria": "0"}
    fee = int(payment["quantity"]) // 200
    parts = [int(payment["quantity"])] if is_bid else [int(payment["quantity"]) - fee, fee]
    paid = [{**money, "startAmount": str(p), "endAmount": str(p)} for p in parts]
    token = {"itemType": 2, "token": CONTRACT, "identifierOrCriteria": asset["identifier"] if asset else "0"}
    token |= {"startAmount": "1", "endAmount": "1"} | ({} if asset else {"itemType": 4})
    price = {"currency": payment["symbol"], "decimals": 18, "value": payment["quantity"]}
    return {
        "order_hash": event["order_hash"],
        "chain": "ethereum",
        "type": "basic",
        "price": price if is_bid else {"current": price},
        "protocol_data": {
            "parameters": {
                "offerer": event["maker"],
                "offer": paid if is_bid else [token],
                "consideration": [token] if is_bid else paid,
                "startTime": str(event["start_date"]),
                "endTime": str(event["expiration_date"]),
            }
        },
        **({"criteria": event["criteria"]} if is_bid else {}),
    }


def _nft(token: int) -> dict[str, Any]:
    return {
        "identifier": str(token),
        "collection": SLUG,
        "contract": CONTRACT,
        "token_standard": "erc721",
        "name": f"Ghost #{token}",
        "updated_at": "2024-02-01T10:00:00.000000",
    }


def _payment(quantity: int, address: str, symbol: str) -> dict[str, Any]:
    return {"quantity": str(quantity), "token_address": address, "decimals": 18, "symbol": symbol}


@dataclass
class OpenSea:
    """The marketplace.

    Attributes:
        events: All events, in any order.
        orders: Orders that stand.
        tokens: What the list of tokens holds.
        now: Its clock.
        excludes: Whether the two times that are asked for are not in the answer; else both are.
        fault: What goes wrong; None: a proper answer.
        asked: All requests.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = NOW
    excludes: bool = False
    fault: Fault = lambda _: None
    asked: list[Request] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        date = {"date": format_datetime(self.now.replace(tzinfo=UTC), usegmt=True)}
        reply = self.fault(request) or self._proper(request)
        return Reply(reply.state, {**date, **reply.headers}, reply.document, reply.promised, reply.slow_s)

    def _proper(self, request: Request) -> Reply:
        if request.headers.get("x-api-key") != SECRET:
            return Reply(401, {}, {"errors": [f"the key {request.headers.get('x-api-key')} is wrong"]})
        path, params = request.path, request.params
        if path.startswith("/api/v2/events/collection/"):
            first, end = int(params["after"]), int(params["before"])
            kinds = ("transfer", "mint") if params["event_type"] == "transfer" else (params["event_type"],)
            inside = range(first + 1, end) if self.excludes else range(first, end + 1)
            found = [e for e in self.events if e["event_type"] in kinds and e["event_timestamp"] in inside]
            found.sort(key=lambda e: -e["event_timestamp"])
            return self._page(found, "asset_events", params)
        if path.endswith("/all"):
            kind = path.split("/")[3]
            wanted = [o for o in self.orders if ("criteria" in o) == (kind == "offers")]
            return self._page(wanted, kind, params)
        if path.endswith("/nfts"):
            return self._page(self.tokens, "nfts", params)
        contracts = [{"address": CONTRACT, "chain": "ethereum"}]
        return Reply(
            document={"collection": SLUG, "name": "Little Ghosts", "total_supply": 20, "contracts": contracts}
        )

    def _page(self, found: list[dict[str, Any]], name: str, params: dict[str, str]) -> Reply:
        first, size = int(params.get("next", 0)), int(params["limit"])
        following = str(first + size) if first + size < len(found) else None
        return Reply(document={name: found[first : first + size], "next": following})


@contextmanager
def serving(market: OpenSea) -> Iterator[OpenSea]:
    """The marketplace behind an address."""
    with serving_http(market.answer) as url:
        market.url = url
        yield market
