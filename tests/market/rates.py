"""CoinGecko and exchanges in memory: recorded shapes, invented prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.http_server import Reply, Request

HOUR = 3600


def price(hour: int) -> float:
    """The close of an hour (Unix time / 3600)."""
    return 2000 + hour % 97 + 0.25


def answer(request: Request, now: int) -> Reply:
    """The prices up to a time, that of the hour that is not over included."""
    path, params = request.path, request.params
    if path.startswith("/coins/"):
        first, end = int(params["from"]), int(params["to"])
        # A price a few seconds after each half of an hour: the second is the last of the hour.
        times = [h * HOUR + s for h in range(first // HOUR, end // HOUR + 1) for s in (7, 1807)]
        points = [
            [t * 1000 + 123, price(t // HOUR) - (t % HOUR < 1800)]
            for t in times
            if first <= t <= min(end, now)
        ]
        return Reply(document={"prices": points, "market_caps": [], "total_volumes": []})
    if path.startswith("/products/"):
        first, end = (
            int(datetime.fromisoformat(params[n].replace("Z", "+00:00")).astimezone(UTC).timestamp())
            for n in ("start", "end")
        )
        hours = [h for h in range(-(-first // HOUR), end // HOUR + 1) if h * HOUR <= now]
        assert len(hours) <= 300
        return Reply(document=[_candle(h * HOUR, price(h)) for h in reversed(hours)])
    if path == "/0/public/OHLC":
        newest = now // HOUR
        hours = [h for h in range(newest - 719, newest + 1) if h * HOUR >= int(params["since"])]
        series = [[h * HOUR, "1.0", "1.0", "1.0", str(price(h)), "1.0", "9.0", 4] for h in hours]
        return Reply(document={"error": [], "result": {"XETHZUSD": series, "last": newest * HOUR}})
    first, end = (int(params[n]) // 1000 for n in ("startTime", "endTime"))
    hours = [h for h in range(-(-first // HOUR), end // HOUR + 1) if h * HOUR <= now][:1000]
    kline = [
        [h * HOUR * 1000, "1.0", "1.0", "1.0", str(price(h)), "9.0", (h + 1) * HOUR * 1000 - 1] for h in hours
    ]
    return Reply(document=kline)


def _candle(time: int, close: float) -> list[Any]:
    return [time, close - 9, close + 9, close - 1, close, 12.5]
