"""OpenSea in memory, and sources on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sources.opensea.decoding import Decoder
from sources.opensea.settings import OpenSeaConfig
from sources.opensea.streams import streams
from sources.web_api.client import ApiClient, key_from
from sources.web_api.source import WebApiSource
from tests.market.opensea import ETH, NOW, SECRET, SLUG, OpenSea, listed, sale, serving, unix

START = "2024-02-01"
FIRST = unix(NOW - timedelta(days=29))


@pytest.fixture
def market() -> Iterator[OpenSea]:
    """Sixty sales and ten asks over four weeks."""
    market = OpenSea()
    for n in range(60):
        market.events.append(sale(FIRST + n * 36_000, n % 10, ETH * (100 + n) // 100))
    for n in range(10):
        market.events.append(
            listed(FIRST + n * 36_000 + 100, n, 2 * ETH, FIRST + 40 * 86_400, order_hash=f"0x{n:064x}")
        )
    with serving(market) as served:
        yield served


Opened = Callable[..., WebApiSource]


@pytest.fixture
def opened(market: OpenSea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the market as a source; a second one has the same store."""
    monkeypatch.setenv("OPENSEA_API_KEY", SECRET)

    def open_source(**changes: Any) -> WebApiSource:
        return open_market(market.url, tmp_path / "cache", changes.pop("now", market.now), **changes)

    return open_source


def open_market(url: str, cache: Path, now: datetime, **changes: Any) -> WebApiSource:
    """A market as a source whose clock stands."""
    config = OpenSeaConfig(name="sea", url=url, slugs=SLUG, start=START, **changes)
    key = key_from(config.key_from)
    assert key is not None
    return WebApiSource(
        "opensea",
        ApiClient(url, headers={"x-api-key": key}, timeout_s=config.timeout_s, sleep=lambda _: None),
        streams(
            [SLUG],
            events=config.events.split(","),
            listings=config.standing,
            tokens=config.traits,
            overlap_s=config.overlap_h * 3600,
            page_size=config.page_size,
        ),
        Decoder([SLUG], config.chain),
        start=config.start,
        cache=cache,
        settle_s=config.settle_s,
        now=lambda: now,
    )
