"""What is known of an owner's tokens and collections beside their estimates: floors, last sales, pace, rate of ether.

Here: reads for a set of tokens. Not here: estimates (`ml.portfolio.valuation`), costs (`ml.portfolio.ledger`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from lake.bound import execute_bound

PACE = timedelta(days=30)
"""The sales of so long a time are the recent pace."""


def read_floors(
    con: duckdb.DuckDBPyConnection, tokens: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Of each token: lowest_ask_eth and lowest_ask_at of its collection, floor_proxy_eth, last_sale_eth."""
    with _Asked(con, tokens):
        cursor = con.execute(
            """
            select e.collection, e.token_id, e.lowest_ask_eth, e.lowest_ask_at, e.floor_proxy_eth, e.last_sale_eth
            from predictions.token_estimates as e semi join _asked using (collection, token_id)
            """
        )
        names = [column[0] for column in cursor.description or []][2:]
        return {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in cursor.fetchall()}


def read_pace(
    con: duckdb.DuckDBPyConnection, collections: Sequence[str], as_of: datetime
) -> dict[str, float]:
    """Arm's-length sales per day of each collection over the 30 days before `as_of`; 0 without a sale."""
    rows = con.execute(
        """
        select collection, count(*) from marts.fct_collection_state
        where list_contains($collections, collection) and known_at < $as_of and event_time >= $since group by 1
        """,
        {"collections": list(collections), "as_of": as_of, "since": as_of - PACE},
    ).fetchall()
    return dict.fromkeys(collections, 0.0) | {name: count / PACE.days for name, count in rows}


def read_ether_rate(con: duckdb.DuckDBPyConnection, as_of: datetime) -> tuple[float, datetime] | None:
    """US dollars per ether, the newest rate that was known at that time and is not older than a week, and its time."""
    row = execute_bound(
        con,
        """
        select arg_max(rate, (known_at, granularity = 'hour')), max(known_at) from raw.exchange_rates
        where symbol in ('ETH', 'WETH') and quote = 'USD' and rate > 0
            and known_at <= $as_of and known_at >= $as_of::timestamp - interval 7 day
        """,
        {"as_of": as_of},
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


class _Asked:
    """The tokens asked for as the relation `_asked`, for as long as the block lasts."""

    def __init__(self, con: duckdb.DuckDBPyConnection, tokens: Sequence[tuple[str, str]]) -> None:
        self._con = con
        self._rows = pa.table(
            {
                "collection": pa.array([collection for collection, _ in tokens], pa.string()),
                "token_id": pa.array([token for _, token in tokens], pa.string()),
            }
        )

    def __enter__(self) -> None:
        self._con.register("_asked", self._rows)

    def __exit__(self, *_: object) -> None:
        self._con.unregister("_asked")
