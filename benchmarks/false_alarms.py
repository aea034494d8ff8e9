"""How often a collection is found degraded although nothing changed: the rule on errors that are only noise.

Here: such errors, and the production rule on them, every other day. Not here: the rule (`ml.monitoring.online_error`).

    python -m benchmarks.false_alarms
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.tables import create_missing
from ml.ledger.estimate_ledger import TABLE
from ml.monitoring.online_error import ALL, OnlineConfig, evaluate_online
from ml.states import ErrorState
from ml.tables.registry import TABLES

START = datetime(2024, 1, 1)  # noqa: DTZ001 - the lake's naive UTC
BEFORE_DAYS = 150
"""Days of sales before the first evaluation."""
EVERY_DAYS = 2


class Noise(StrEnum):
    """What the errors of a sale are drawn from; the same before and after."""

    NORMAL = "normal"
    HEAVY = "heavy tails"
    CHANGING = "harder and easier weeks"


@dataclass(frozen=True)
class FalseAlarms:
    """What the rule found where there was nothing.

    Attributes:
        collection_years: Collections times years that were watched.
        tickets: How often a collection became degraded.
        pages: How often all together did.
        years: Years that were watched.
    """

    collection_years: float
    tickets: int
    pages: int
    years: float


def false_alarms(noise: Noise, sales_per_day: float, collections: int, days: int, seed: int) -> FalseAlarms:
    """Evaluate `days` days of null data.

    Args:
        noise: Of the errors; the median of five shares most of a sale's own noise with the model.
        sales_per_day: Of each collection, on average.
        collections: How many.
        days: Days that are watched.
        seed: Of the errors.
    """
    open_now: set[str] = set()
    tickets = pages = 0
    with duckdb.connect(config={"threads": 1}) as con:
        create_missing(con, TABLES)
        con.register("made", _ledger(noise, sales_per_day, collections, BEFORE_DAYS + days, seed))
        con.execute(f"insert into {TABLE} by name select * from made")
        for day in range(BEFORE_DAYS, BEFORE_DAYS + days, EVERY_DAYS):
            evaluate_online(con, START + timedelta(days=day), OnlineConfig(), "found")
            rows = con.execute(
                f"select collection from found where state = '{ErrorState.DEGRADED}'"
            ).fetchall()
            opened = {name for (name,) in rows} - open_now
            pages += ALL in opened
            tickets += len(opened - {ALL})
            open_now = {name for (name,) in rows}
    return FalseAlarms(collections * days / 365, tickets, pages, days / 365)


def _ledger(noise: Noise, rate: float, collections: int, days: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    names: list[str] = []
    parts: list[npt.NDArray[np.float64]] = []
    for number in range(collections):
        n = rng.poisson(rate * days)
        at = np.sort(rng.uniform(0, days, n))
        drawn = rng.standard_normal(n) if noise == Noise.NORMAL else rng.standard_t(4, n) / np.sqrt(2)
        error = np.exp(rng.normal(np.log(0.12), 0.3)) * drawn
        simple = 0.7 * error + rng.normal(0, 0.15, n)
        scale = _scale(rng, days)[at.astype(int)] if noise == Noise.CHANGING else 1.0
        names += [f"c{number}"] * n
        parts.append(np.stack([at, error * scale, simple * scale]))
    days_at, error, simple = np.concatenate(parts, axis=1)
    sold = np.datetime64(START, "us") + (days_at * 86400e6).astype("timedelta64[us]")
    estimate, total = np.exp(error), len(names)
    ids = [str(number) for number in range(total)]
    same = {"chain": "ethereum", "token_id": "1", "tier": "pooled", "model_version": "1", "origin": "live"}
    return pa.table(
        {
            **{name: [value] * total for name, value in same.items()},
            "collection": names,
            "sale_id": ids,
            "tx_hash": ids,
            "event_time": sold,
            "known_at": sold,
            "as_of": sold - np.timedelta64(1, "h"),
            "price_eth": np.ones(total),
            "is_arms_length": [True] * total,
            "is_wash": [False] * total,
            "estimate_eth": estimate,
            "lower_eth": 0.8 * estimate,
            "upper_eth": 1.2 * estimate,
            "med_5_eth": np.exp(simple),
        }
    )


def _scale(rng: np.random.Generator, days: int) -> npt.NDArray[np.float64]:
    """A market that is harder for every method for weeks: its log wanders with a memory of 20 days, spread 0.3."""
    memory = np.exp(-1 / 20)
    log = np.zeros(days + 1)
    for day in range(1, days + 1):
        log[day] = memory * log[day - 1] + rng.normal(0, 0.3 * np.sqrt(1 - memory**2))
    return np.exp(log)


def main() -> None:
    """Print a line for each kind of noise and pace of sales."""
    for noise in Noise:
        for rate, collections, days in ((0.3, 60, 240), (1, 60, 120), (4, 20, 120)):
            runs = [false_alarms(noise, rate, collections, days, seed) for seed in (1, 2)]
            years = sum(run.collection_years for run in runs)
            tickets, pages = sum(run.tickets for run in runs), sum(run.pages for run in runs)
            print(
                f"{noise}, {rate} sales a day: {tickets} tickets in {years:.0f} collection-years "
                f"({tickets / years:.3f} a year), {pages} pages in {sum(run.years for run in runs):.2f} years",
                flush=True,
            )


if __name__ == "__main__":
    main()
