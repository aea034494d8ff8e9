"""Ten thousand mutated items of APIs: no crash, each is in raw or in quarantine, and no price that is not stated."""

from __future__ import annotations

import json
import random
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sources.opensea.decoding import Decoder as OpenSeaDecoder
from sources.rates.decoding import Decoder as RatesDecoder
from sources.web_api.client import read_json
from sources.web_api.rows import batch_of
from sources.web_api.store import Item, Store
from tests.market.opensea import ETH, NATIVE, NOW, SLUG, WETH, bid, listed, sale, standing, transfer, unix

ITEMS = 1000
TIME = unix(NOW) - 86_400
KNOWN = TIME * 1_000_000
HOUR = 3600 * 1_000_000
STRANGE: list[Any] = [
    None, "", 0, -1, 1, 1.5, 10**30, 2**256, 1e300, float("nan"), float("inf"), True, [], {}, [1, 2], {"a": {"b": 1}},
    "0", "-5", "1e18", "0x10", "NaN", "null", "ETH", "USDC", WETH, NATIVE, "0x" + "c" * 40, "\ud800", "a\0b", "'; drop",
    "2024-01-01", "31/12/2023", "99999999999999999999", " 7 ", "７", "x" * 5000, "sale", "listing", "trait_offer",
]  # fmt: skip
"""Values that no API promises."""


def mutated(document: Any, rng: random.Random) -> Any:
    """The document with one to three values replaced, removed or moved."""
    copy = json.loads(json.dumps(document))
    if rng.random() < 0.01:
        return read_json(json.dumps(rng.choice(STRANGE)))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(copy))
        if not places:
            break
        parent, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.2:
            del parent[key]
        elif kind < 0.3:
            other, name = rng.choice(places)
            parent[key] = json.loads(json.dumps(other[name]))
        else:
            parent[key] = deepcopy(rng.choice(STRANGE))
    return read_json(json.dumps(copy))


def _places(value: Any) -> Any:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in list(entries):
        yield value, key
        yield from _places(inner)


def stated_price(payment: Any) -> float | None:
    """What a payment says, by the contract of its currency alone; None: nothing that can be read in one way."""
    if not isinstance(payment, dict):
        return None
    amount, address = payment.get("quantity"), str(payment.get("token_address") or "").lower()
    if not isinstance(amount, str) or not re.fullmatch("[0-9]{1,78}", amount):
        return None
    named = address or str(payment.get("symbol")).lower()
    if named in (NATIVE, WETH, "eth", "weth"):
        return int(amount) / ETH
    return int(amount) / 10**6 if named == "usdc" else None


# A failure names its seed: there is nothing to shrink.
@settings(
    max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_mutated_items_are_rows_with_the_stated_price_or_in_quarantine(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = Store(tmp_path / f"{seed}.sqlite")
    ask = listed(TIME, 3, 2 * ETH, TIME + 9 * 86_400)
    kinds = {
        "sale": sale(TIME, 3, 2 * ETH),
        "transfer": transfer(TIME, 3),
        "order": bid(TIME, ETH, TIME + 86_400 * 9),
        "listings": standing(ask),
    }
    bodies: dict[str, Any] = {}
    for kind, proper in kinds.items():
        items = []
        for n in range(ITEMS):
            body = mutated(proper, rng)
            bodies[f"{kind}:{SLUG}:{n}"] = body
            links = [f"order:{kind}{n}"] if kind in ("order", "listings") else []
            items.append(Item("", str(n), "d", body, KNOWN, KNOWN, None, links))
        store.keep(f"{kind}:{SLUG}", items, None)
    decode = OpenSeaDecoder([SLUG], "ethereum")
    sold = batch_of("sales", decode(store, "sales", 0, 2**60), source="o", chain="ethereum", now=NOW)
    assert sold is not None
    for row in sold.rows.to_pylist():
        body = bodies[row["source_row"].removeprefix("o:").rsplit(":", 1)[0]]
        if row["price_native"] is not None:
            assert row["price_native"] == stated_price(body["payment"])
    elsewhere = sum(_type(bodies[f"sale:{SLUG}:{n}"]) in ("listing", "trait_offer") for n in range(ITEMS))
    assert sold.rows.num_rows + sold.rejected.num_rows == ITEMS - elsewhere
    moved = batch_of("transfers", decode(store, "transfers", 0, 2**60), source="o", chain="ethereum", now=NOW)
    orders = batch_of("listings", decode(store, "listings", 0, 2**60), source="o", chain="ethereum", now=NOW)
    assert moved is not None
    assert orders is not None
    for row in orders.rows.to_pylist():
        body = bodies[":".join(row["source_row"].removeprefix("o:").split(":")[:3])]
        if "protocol_data" in body:
            low, high = _terms(body)
            assert low <= row["price_native"] <= high
        elif row["price_native"] is not None:
            assert row["price_native"] == stated_price(body["payment"])
    items = [
        Item(
            "",
            str(n),
            "d",
            mutated([str(TIME * 1000), "2000.5"], rng),
            KNOWN + n * HOUR,
            KNOWN + (n + 1) * HOUR,
        )
        for n in range(ITEMS)
    ]
    store.keep("rates:ETH", items, None)
    rates = RatesDecoder(["ETH"], "1", "hour")(store, "exchange_rates", 0, 2**60)
    priced = batch_of(
        "exchange_rates", rates, source="r", chain="ethereum", now=NOW.replace(year=NOW.year + 2)
    )
    assert priced is not None
    assert priced.num_source_rows == ITEMS
    stated = {n: item.body for n, item in enumerate(items)}
    for row in priced.rows.to_pylist():
        body = stated[int(row["source_row"].split(":")[3])]
        assert row["rate"] == float(body[1]) > 0


def _type(body: Any) -> Any:
    return body.get("event_type") if isinstance(body, dict) else None


def _terms(body: Any) -> tuple[float, float]:
    """The lowest and the highest sum that the terms of an ask come to."""
    paid = body["protocol_data"]["parameters"]["consideration"]
    low, high = sorted(sum(int(part[name]) for part in paid) for name in ("startAmount", "endAmount"))
    return low / ETH, high / ETH
