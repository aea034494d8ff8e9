"""Text on a page: numbers and times as people read them, and names from the market as HTML that shows them literally.

Here: words. Not here: layout (`layout`).

Concept: Streamlit's own text elements read Markdown, mathematics, emoji codes and colour directives, and not all of
them can be escaped. So a name from outside is never put into one: it goes through `literal` into HTML, or into a table
or a chart, which show text as it is.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ml.text.visible import shortened, visible

LONGEST = 80
"""Characters of a name that are shown."""

NONE = "–"


def literal(text: object, longest: int = LONGEST) -> str:
    """Any text as HTML that shows it as it is: escaped, its invisible characters visible, cut."""
    return html.escape(visible(shortened(str(text), longest)))


def plain(text: object, longest: int = LONGEST) -> str:
    """Any text for a table, a chart or the title of the window, which show it as it is."""
    return visible(shortened(str(text), longest))


def number(value: float | None) -> str:
    """A number with four significant digits: 1.234, 0.01234, 12,345."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1_000:
        return f"{value:,.0f}"
    if size < 0.0001:
        return f"{value:.3g}"
    decimals = 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4
    return f"{value:,.{decimals}f}"


def eth(value: float | None) -> str:
    """A price with its unit."""
    return NONE if value is None else f"{number(value)} ETH"


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in per cent."""
    return NONE if fraction is None else f"{100 * fraction:.{digits}f} %"


def day(time: str | None) -> str:
    """The day of an ISO time."""
    return NONE if not time else time[:10]


def minute(time: str | None) -> str:
    """An ISO time to the minute."""
    return NONE if not time else f"{time[:10]} {time[11:16]} UTC"


def age(seconds: float) -> str:
    """How long that is: 40 min, 5 h, 3 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3_600:
        return f"{seconds / 3_600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


def time_of(seconds: float) -> str:
    """Seconds since 1970 as an ISO time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count(number_of: int, one: str, many: str | None = None) -> str:
    """1 token, 2,000 tokens."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def words(identifier: str) -> str:
    """A machine word as words: own_model is own model."""
    return identifier.replace("_", " ")


class Floor(NamedTuple):
    """A floor as it is shown.

    Attributes:
        name: What it is.
        eth: ETH, if it is known.
        note: Where it is from.
    """

    name: str
    eth: float | None
    note: str


def floor_of(found: Mapping[str, Any]) -> Floor:
    """The lowest live ask of a token's or a collection's document; where none is known, what stands in for it."""
    if found["lowest_ask_eth"] is None:
        return Floor(
            "Floor, by sales", found["floor_proxy_eth"], "20th percentile of 50 sales; no ask is known"
        )
    return Floor("Floor", found["lowest_ask_eth"], f"lowest ask, {minute(found['lowest_ask_at'])}")
