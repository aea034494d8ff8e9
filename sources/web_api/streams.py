"""What is asked of an API, as data.

Here: one list of an API: where it is, how its pages and its time are named. Not here: asking
(`sources.web_api.paging`), or what its items mean (`sources.web_api.rows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

DAY_S = 86_400


@dataclass(frozen=True)
class Window:
    """How a stretch of time is asked for.

    Attributes:
        first: Parameter of its first time.
        end: Parameter of its end; empty: there is none.
        unit: How a time is written: `s`, `ms` (Unix time) or `iso`.
        span_s: Longest stretch of one question, in seconds.
        overlap_s: Seconds before the end of the last reading that are read once more: for what came late.
        lasts_s: Seconds that one item lasts; it is known at its end. 0: an event.
    """

    first: str
    end: str
    unit: str = "s"
    span_s: int = 30 * DAY_S
    overlap_s: int = 0
    lasts_s: int = 0

    def params(self, first: int, end: int) -> dict[str, str]:
        """Parameters of the stretch between two times (unix seconds), both included, however the API reads them."""
        return {
            name: self._text(time) for name, time in ((self.first, first - 1), (self.end, end + 1)) if name
        }

    def _text(self, seconds: int) -> str:
        if self.unit == "iso":
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return str(seconds * 1000 if self.unit == "ms" else seconds)


@dataclass(frozen=True)
class Stream:
    """One list of an API.

    Attributes:
        name: Its name in the store, unique in a source.
        path: Below the API's address.
        items: Path of the list in an answer.
        key: Paths of the values that name an item.
        used: Paths of all values that are used: an item in which one of them has changed is another report.
        params: Parameters of every question.
        cursor: Parameter of the next page, and its path in an answer; None: there is one page.
        page_size: Items of a full page; 0: not known.
        window: How time is asked for; None: the answer is what stands now.
        time: Path of an item's time.
        ends: Path of the time at which an item ends by itself.
        links: Name of a link → path of what an item belongs to, such as its order.
        every_s: Seconds between two readings of a list of what stands.
    """

    name: str
    path: str
    items: str
    key: tuple[str, ...]
    used: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    cursor: tuple[str, str] | None = None
    page_size: int = 0
    window: Window | None = None
    time: str = ""
    ends: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    every_s: int = 1
