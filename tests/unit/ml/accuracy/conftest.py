"""Ledgers whose true error, bias and coverage are known because they were made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.ledger.ledger import LEDGER_SCHEMA

NOISE = 0.12
"""Standard deviation of ln price around the true median."""


def make_ledger(
    sizes: tuple[int, ...] = (300,) * 12, *, noise: float = NOISE, days: int = 240, seed: int = 1
) -> pa.Table:
    """Sales of collections with the given numbers of sales; the estimate is the true median of each price.

    Intervals are the true ones; the median of 5 errs by another 0.2 in log, the other baselines by 0.3.
    """
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    code = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    time = np.datetime64("2024-01-01", "us") + (
        place / np.repeat(sizes, sizes) * days * 86_400e6 + rng.integers(0, 1000, n)
    ).astype("timedelta64[us]")
    premium = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    value = np.exp(rng.normal(0, 1, len(sizes)))[code] * np.array([1.0, 1.6, 3.0])[premium]
    price = value * np.exp(rng.normal(0, noise, n))
    columns: dict[str, Any] = {
        "collection": [f"c{k:03d}" for k in code],
        "chain": ["ethereum"] * n,
        "token_id": [str(k) for k in range(n)],
        "sale_id": [f"s{k:06d}" for k in range(n)],
        "tx_hash": [f"0x{k:x}" for k in range(n)],
        "event_time": time,
        "known_at": time,
        "as_of": time,
        "price_eth": price,
        "is_arms_length": [True] * n,
        "is_wash": [False] * n,
        "estimate_eth": value,
        "lower_eth": value * np.exp(-1.2816 * noise),
        "upper_eth": value * np.exp(1.2816 * noise),
        "lower_90_eth": value * np.exp(-1.6449 * noise),
        "upper_90_eth": value * np.exp(1.6449 * noise),
        "expected_eth": value * np.exp(noise**2 / 2),
        "index_eth": value * np.exp(rng.normal(0, 0.1, n)),
        "prior_eth": value,
        "tier": ["pooled"] * n,
        "grade": np.array(["A", "B", "C"])[premium],
        "premium_tier": np.array(["<1.25x", "1.25-2x", ">2x"])[premium],
        "listed": rng.random(n) < 0.5,
        "sales_seen": place,
        "days_since_sale": rng.exponential(1.0, n),
        "buyer": [f"b{k}" for k in rng.integers(0, 100, n)],
        "seller": [f"w{k}" for k in rng.integers(0, 100, n)],
        "med_5_eth": value * np.exp(rng.normal(0, 0.2, n)),
        **{
            f"{name}_eth": value * np.exp(rng.normal(0, 0.3, n))
            for name in ("med_30", "p20_50", "last_index")
        },
    }
    return pa.table(
        [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type)
            for f in LEDGER_SCHEMA
        ],
        schema=LEDGER_SCHEMA,
    )


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with one column's values replaced."""
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


@pytest.fixture(scope="session")
def ledger_of() -> Callable[..., pa.Table]:
    return make_ledger


@pytest.fixture(scope="session")
def ledger() -> pa.Table:
    return make_ledger()


@pytest.fixture(scope="session")
def replaced() -> Callable[[pa.Table, str, Any], pa.Table]:
    return with_column
