"""A ledger with chosen errors, for whatever judges errors: no market behind it."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from lake.tables import create_missing
from ml.ledger.estimate_ledger import TABLE
from ml.tables.registry import TABLES

START = datetime(2024, 1, 1)  # noqa: DTZ001 - the lake's naive UTC


def make_ledger(con: duckdb.DuckDBPyConnection) -> None:
    """Every table, empty."""
    create_missing(con, TABLES)


def add_sales(
    con: duckdb.DuckDBPyConnection,
    collection: str,
    n: int,
    first: datetime,
    last: datetime,
    *,
    sigma: float = 0.15,
    bias: float = 0.0,
    harder: float = 1.0,
    med_5_sigma: float = 0.25,
    version: str | None = None,
    clean: bool = True,
    valued_at: datetime | None = None,
    seed: int = 0,
) -> None:
    """Append `n` sales spread over [first, last).

    `sigma` and `bias` are the model's error in log units, `med_5_sigma` that of the median of five, `harder` multiplies
    the noise of both. `valued_at`: when all of them were valued, six hours before each if None.
    """
    rng = np.random.default_rng([seed, *collection.encode(), n])
    at = [first + (last - first) * float(share) for share in np.sort(rng.uniform(size=n))]
    price = np.exp(rng.normal(0, 0.5, n))
    estimate = price * np.exp(bias + harder * sigma * rng.normal(size=n))
    median = price * np.exp(harder * med_5_sigma * rng.normal(size=n))
    already = con.execute(f"select count(*) from {TABLE} where collection = ?", [collection]).fetchone()
    begin = int(already[0]) if already else 0
    table = pa.table(
        {
            "collection": [collection] * n,
            "chain": ["ethereum"] * n,
            "token_id": [str(i % 50) for i in range(n)],
            "sale_id": [f"{collection}-{begin + i}" for i in range(n)],
            "tx_hash": [f"{collection}-{begin + i}" for i in range(n)],
            "event_time": pa.array(at, pa.timestamp("us")),
            "known_at": pa.array(at, pa.timestamp("us")),
            "as_of": pa.array([valued_at or t - timedelta(hours=6) for t in at], pa.timestamp("us")),
            "price_eth": price,
            "is_arms_length": [clean] * n,
            "is_wash": [not clean] * n,
            "estimate_eth": estimate,
            "lower_eth": estimate * np.exp(-1.2816 * sigma),
            "upper_eth": estimate * np.exp(1.2816 * sigma),
            "tier": ["pooled"] * n,
            "model_version": [version or f"{collection}@1"] * n,
            "med_5_eth": median,
            "origin": ["live"] * n,
        }
    )
    con.register("_made", table)
    con.execute(f"insert into {TABLE} by name select * from _made")
    con.unregister("_made")
