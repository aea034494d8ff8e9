"""What is set for rates of currencies: CoinGecko, and the public candles of an exchange.

Here: the settings of the two kinds of source. Not here: formats (`sources.rates.formats`), and keys.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from sources.currencies import SYMBOL_BY_SPELLING
from sources.protocol import Source
from sources.rates.formats import COINGECKO, EXCHANGES, Format
from sources.web_api.settings import WebApiConfig, words


class RatesConfig(WebApiConfig):
    """Series of rates in US dollars.

    Attributes:
        pairs: Symbol and its name at the service, such as `ETH=ethereum`, separated by commas.
        granularity: Width of a candle.
        overlap_h: Hours that each run reads once more.
    """

    pairs: str
    granularity: Literal["hour", "day"] = "hour"
    overlap_h: int = Field(0, ge=0, le=24 * 30)

    home: ClassVar[str] = ".assay-rates"
    grows: ClassVar[tuple[str, ...]] = (*WebApiConfig.grows, "pairs", "overlap_h")

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, value: str) -> str:
        given = [pair.partition("=") for pair in words(value, "pairs such as ETH=ethereum").split(",")]
        wrong = next((a + b + c for a, b, c in given if not (a and re.fullmatch(r"[\w.-]+", c))), None)
        if wrong:
            raise ValueError(
                f"expected a symbol and its name at the service, such as ETH=ethereum, found {wrong!r}"
            )
        spelled = [
            (SYMBOL_BY_SPELLING.get(symbol.upper(), symbol.upper()), name) for symbol, _, name in given
        ]
        if len({symbol for symbol, _ in spelled}) < len(spelled):
            raise ValueError("expected each symbol once")
        return ",".join(f"{symbol}={name}" for symbol, name in spelled)

    def _source(self, form: Format, header: str, cache: Path) -> Source:
        from sources.rates.decoding import Decoder
        from sources.web_api.source import WebApiSource

        pairs = dict(pair.split("=") for pair in self.pairs.split(","))
        return WebApiSource(
            self.kind,
            self.client(header),
            [
                form.stream(symbol, quote(name, safe=""), self.granularity, self.overlap_h * 3600)
                for symbol, name in pairs.items()
            ],
            Decoder(list(pairs), form.close, self.granularity),
            start=self.start,
            cache=cache / self.kind / self.name,
            left_out=[form.left_out] if form.left_out else [],
        )


class CoinGeckoConfig(RatesConfig):
    """Rates of CoinGecko (`sources.rates`).

    Attributes:
        key_header: Header that the key is sent in: another one for paid plans.
    """

    kind: Literal["coingecko"] = "coingecko"
    url: str = COINGECKO.url
    key_from: str = Field("COINGECKO_API_KEY", pattern=r"^[A-Z][A-Z0-9_]*$")
    key_header: str = Field("x-cg-demo-api-key", pattern=r"^[A-Za-z0-9-]+$")
    requests_per_second: float = Field(0.4, ge=0, le=1000)

    grows: ClassVar[tuple[str, ...]] = (*RatesConfig.grows, "key_header")

    def open(self, cache: Path) -> Source:
        """The series; the API is asked when they are first read."""
        return self._source(COINGECKO, self.key_header, cache)


class CandlesConfig(RatesConfig):
    """Public candles of an exchange (`sources.rates`).

    Attributes:
        exchange: Name of the exchange.
    """

    kind: Literal["candles"] = "candles"
    exchange: Literal["coinbase", "kraken", "binance"] = "coinbase"
    url: str = ""
    overlap_h: int = Field(2, ge=0, le=24 * 30)

    @model_validator(mode="before")
    @classmethod
    def _address_of_the_exchange(cls, given: object) -> object:
        if isinstance(given, dict) and not given.get("url"):
            form = EXCHANGES.get(str(given.get("exchange", "coinbase")))
            return {**given, "url": form.url} if form else given
        return given

    @model_validator(mode="after")
    def _pairs_are_in_dollars(self) -> CandlesConfig:
        wrong = [pair for pair in self.pairs.split(",") if not re.search("USD$", pair, re.IGNORECASE)]
        if wrong:
            raise ValueError(f"pairs: expected markets in USD, such as ETH=ETH-USD, found {wrong[0]}")
        return self

    def open(self, cache: Path) -> Source:
        """The series; the exchange is asked when they are first read."""
        return self._source(EXCHANGES[self.exchange], "", cache)
