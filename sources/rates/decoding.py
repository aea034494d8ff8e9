"""Rows of `raw.exchange_rates` from candles and prices.

Here: which price is the close. Not here: where it is (`sources.rates.formats`).

A rate is the close of an hour or a day, and known at its end: no sale is converted with a rate of its own future.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sources.rates.formats import GRANULARITY_S
from sources.web_api.paging import MICROS
from sources.web_api.paths import text_at
from sources.web_api.rows import Record, record_of, time_text
from sources.web_api.store import Item, Store


@dataclass(frozen=True)
class Decoder:
    """What the items of some series mean.

    Attributes:
        symbols: Symbols.
        close: Path of the price in an item.
        granularity: `hour` or `day`.
    """

    symbols: Sequence[str]
    close: str
    granularity: str

    def __call__(self, store: Store, table: str, first: int, end: int) -> Iterator[Record]:
        """Rows of a raw table with first <= known < end (microseconds)."""
        if table != "exchange_rates":
            return
        width = GRANULARITY_S[self.granularity] * MICROS
        closes: dict[tuple[str, int, int], Item] = {}
        for item in store.items([f"rates:{symbol}" for symbol in self.symbols], first, end):
            if item.event is None:
                yield self._record(item, text_at(item.body, "0"))
                continue
            bucket = (item.stream, item.event - item.event % width, item.known)
            held = closes.get(bucket)
            if held is None or held.event is None or held.event <= item.event:
                closes[bucket] = item
        for (_, begins, _), item in closes.items():
            yield self._record(item, time_text(begins))

    def _record(self, item: Item, begins: str | None) -> Record:
        values = {
            "symbol": item.stream.partition(":")[2],
            "quote": "USD",
            "rate": text_at(item.body, self.close),
            "granularity": self.granularity,
            "event_time": begins,
        }
        return record_of(item, values)
