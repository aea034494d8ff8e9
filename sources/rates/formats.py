"""How services deliver rates, as data.

Here: paths, parameters, limits. Not here: what becomes of a rate (`sources.rates.decoding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sources.web_api.streams import DAY_S, Stream, Window

GRANULARITY_S = {"hour": 3600, "day": DAY_S}


@dataclass(frozen=True)
class Format:
    """One service.

    Attributes:
        url: Its address.
        path: Path of a series, with `{pair}`.
        items: Path of the list in an answer.
        close: Path of the price in an item.
        first: Parameter of the first time.
        end: Parameter of the end; empty: there is none.
        unit: How these times are written.
        most: Items of one answer, at most; 0: the stretch is `span_s` long.
        span_s: Length of a stretch where `most` is 0.
        params: Parameters of every question, with `{pair}` and `{width}`.
        widths: Name of the width of a candle, by granularity.
        left_out: What a user should know.
    """

    url: str
    path: str
    items: str
    close: str
    first: str
    end: str
    unit: str
    most: int = 0
    span_s: int = 0
    params: Mapping[str, str] = field(default_factory=dict)
    widths: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""

    def stream(self, symbol: str, pair: str, granularity: str, overlap_s: int) -> Stream:
        """The series of one symbol."""
        width_s = GRANULARITY_S[granularity]
        given = {"pair": pair, "width": self.widths.get(granularity, "")}
        return Stream(
            f"rates:{symbol}",
            self.path.format(**given),
            items=self.items,
            key=("0",),
            used=("0", self.close),
            params={name: value.format(**given) for name, value in self.params.items()},
            window=Window(
                self.first,
                self.end,
                self.unit,
                span_s=(self.most - 1) * width_s if self.most else self.span_s,
                overlap_s=overlap_s,
                lasts_s=width_s,
            ),
            time="0",
        )


COINGECKO = Format(
    url="https://api.coingecko.com/api/v3",
    path="/coins/{pair}/market_chart/range",
    items="prices",
    close="1",
    first="from",
    end="to",
    unit="s",
    span_s=89 * DAY_S,  # longer ranges have a price a day only
    params={"vs_currency": "usd", "precision": "full"},
)
"""Prices at times, about one an hour: the last one in an hour is its close."""

EXCHANGES: dict[str, Format] = {
    "coinbase": Format(
        url="https://api.exchange.coinbase.com",
        path="/products/{pair}/candles",
        items="",
        close="4",
        first="start",
        end="end",
        unit="iso",
        most=300,
        params={"granularity": "{width}"},
        widths={"hour": "3600", "day": "86400"},
    ),
    "kraken": Format(
        url="https://api.kraken.com",
        path="/0/public/OHLC",
        items="result.*",
        close="4",
        first="since",
        end="",
        unit="s",
        most=720,
        params={"pair": "{pair}", "interval": "{width}"},
        widths={"hour": "60", "day": "1440"},
        left_out="kraken has the last 720 candles only: earlier rates are missing",
    ),
    "binance": Format(
        url="https://api.binance.us",
        path="/api/v3/klines",
        items="",
        close="4",
        first="startTime",
        end="endTime",
        unit="ms",
        most=1000,
        params={"symbol": "{pair}", "interval": "{width}", "limit": "1000"},
        widths={"hour": "1h", "day": "1d"},
    ),
}
"""Candles: [time of the start, …, close, …]."""
