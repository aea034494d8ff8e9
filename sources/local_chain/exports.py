"""What a user has of the market besides the chain, as files of the source `files`.

Here: traits, rates in US dollars, and some of the sales as a marketplace exports them. Not here: the market
(`sources.local_chain.month`). The files grow as days pass, as those of a user do.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sources.local_chain.market import ETH
from sources.local_chain.month import DAY_S, Month


def write_exports(month: Month, folder: Path, days: int) -> None:
    """Write the files as they are after some days.

    Args:
        month: The market.
        folder: Where; it is made.
        days: Days that have passed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    traits = [
        {"contract": contract, "token_id": token, "trait_type": name, "trait_value": value}
        for (contract, token), some in month.traits.items()
        for name, value in some.items()
    ]
    rates = [
        {
            "symbol": "ETH",
            "usd": round(3_000 * math.exp(0.1 * math.sin(day / 4)), 2),
            "timestamp": _moment(month.first_day + day * DAY_S),
        }
        for day in range(-2, days)
    ]
    _write(folder / "token_traits.csv", traits)
    _write(folder / "rates.csv", rates)
    _write(folder / "collections.csv", [{"contract": c, "name": name} for name, c in month.contracts.items()])
    if not (folder / "sales.csv").exists():
        _write(folder / "sales.csv", _first_sales(month))


def _first_sales(month: Month) -> list[dict[str, Any]]:
    return [
        {
            "contract": contract,
            "token_id": token,
            "price_eth": price / ETH,
            "seller": seller,
            "buyer": buyer,
            "tx_hash": tx_hash,
            "timestamp": _moment(seconds),
        }
        for (contract, token, _, price, _, _, seller, buyer), (tx_hash, seconds) in zip(
            month.market.sold, month.exported, strict=False
        )
    ]


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
