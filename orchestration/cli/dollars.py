"""US dollars beside ether, with the rate and its time. Here: what commands share. Not here: rates (`ml.portfolio`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml.text.times import utc_minute

if TYPE_CHECKING:
    import duckdb


def in_dollars(con: duckdb.DuckDBPyConnection, eth: float | None, as_of: datetime | None) -> dict[str, Any]:
    """An estimate in US dollars at the newest rate that was known then.

    Args:
        con: The lake.
        eth: The estimate; None: there is none.
        as_of: Its time (naive UTC); None: it has none, and no rate belongs to it.

    Returns:
        `estimate_usd`, `ether_usd` and `ether_usd_at`; each None where it is not known.
    """
    from ml.portfolio.facts import read_ether_rate

    rate, rate_at = (None if as_of is None else read_ether_rate(con, as_of)) or (None, None)
    return {
        "estimate_usd": None if rate is None or eth is None else eth * rate,
        "ether_usd": rate,
        "ether_usd_at": rate_at,
    }


def dollars_in_words(document: Mapping[str, Any]) -> str | None:
    """`5,592.44 USD (2,403.85 USD per ETH, 2025-12-31 23:00 UTC)`; None where there is no rate or no estimate."""
    if document["estimate_usd"] is None:
        return None
    rate = f"{document['ether_usd']:,.2f} USD per ETH, {utc_minute(document['ether_usd_at'])}"
    return f"{document['estimate_usd']:,.2f} USD ({rate})"
