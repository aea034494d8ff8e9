"""How much machine a market of any size takes: markets that were run, and what follows from them.

    python -m benchmarks --only scale --scale 300 --scale 3000 --json scale.json
    python -m benchmarks.capacity scale.json

The first command runs the markets, the second prints Markdown. A cost that grows as collections^e is continued with
its own e, but never below 1 beyond the largest size that was run: nothing larger has shown that it stays cheaper.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.runs import Run

SIZES = (10_000, 100_000, 1_000_000)
DISK = {"lake": "lake", "published answers": "serving", "run history": "dagster", "models": "artifacts"}
"""What is reported → folder of the home."""


@dataclass(frozen=True)
class Market:
    """A market that was run.

    Attributes:
        collections: Number of collections.
        sales: Sales of the cold run.
        tokens: Tokens valued.
        cold: `Measured` of the first run, as a dictionary.
        day: The same of a run one day later.
        disk_mb: MB by what is stored, after both.
        files: Parquet files of the lake in the newest snapshot.
        snapshots: Snapshots of the lake.
    """

    collections: int
    sales: int
    tokens: int
    cold: dict[str, Any]
    day: dict[str, Any]
    disk_mb: dict[str, float]
    files: int
    snapshots: int


def measured(run: Run) -> dict[str, Any]:
    """Seconds, seconds of CPU, peak memory in MB and the seconds of each stage."""
    stages = {stage["name"]: stage["seconds"] for stage in run.report["stages"]}
    return {
        "elapsed_s": round(run.elapsed_s, 1),
        "cpu_s": round(run.cpu_s, 1),
        "peak_mb": round(run.report["peak_rss_mb"]),
        "stages": stages,
    }


def market_of(collections: int, home: Path, cold: Run, day: Run) -> Market:
    """What two runs of a home have cost: the first, and one a day later."""
    return Market(
        collections=collections,
        sales=cold.report["sales"],
        tokens=cold.report["tokens"],
        cold=measured(cold),
        day=measured(day),
        disk_mb={name: round(_megabytes(home / folder), 1) for name, folder in DISK.items()},
        files=_of_catalog(home, "select count(*) from ducklake_data_file where end_snapshot is null"),
        snapshots=_of_catalog(home, "select count(*) from ducklake_snapshot"),
    )


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _of_catalog(home: Path, statement: str) -> int:
    con = sqlite3.connect(f"file:{home / 'lake' / 'catalog.sqlite'}?mode=ro", uri=True)
    try:
        return int(con.execute(statement).fetchone()[0])
    finally:
        con.close()


@dataclass(frozen=True)
class Growth:
    """A cost as a function of the number of collections.

    Attributes:
        size: The largest number of collections that was run.
        cost: The cost there.
        exponent: Of the growth between the two largest sizes.
    """

    size: int
    cost: float
    exponent: float

    def at(self, collections: int) -> float:
        """The cost of a market of another size."""
        exponent = max(self.exponent, 1.0) if collections > self.size else self.exponent
        return self.cost * (collections / self.size) ** exponent


def growth(markets: Sequence[Market], cost: Callable[[Market], float]) -> Growth:
    """How a cost grows between the two largest markets.

    Raises:
        ValueError: There are not two sizes.
    """
    by_size = {market.collections: market for market in markets}
    if len(by_size) < 2:
        raise ValueError(f"expected markets of two sizes, found {sorted(by_size)}; measure another one")
    small, large = (by_size[size] for size in sorted(by_size)[-2:])
    before, after = max(cost(small), 1e-9), max(cost(large), 1e-9)
    return Growth(
        large.collections, after, math.log(after / before) / math.log(large.collections / small.collections)
    )


@dataclass(frozen=True)
class Prices:
    """What a machine and storage cost, in US dollars.

    Attributes:
        core_hour: An hour of one virtual core with 4 GB of memory.
        gb_month: A month of one GB in an object store.
    """

    core_hour: float
    gb_month: float


def main(
    files: Annotated[list[Path], typer.Argument(help="Files of `python -m benchmarks --json`.")],
    core_hour: Annotated[float, typer.Option(help="Dollars for an hour of a core with 4 GB.")] = 0.05,
    gb_month: Annotated[float, typer.Option(help="Dollars for a GB a month.")] = 0.023,
) -> None:
    """Print what was measured, the exponents, and what follows for larger markets."""
    found = [Market(**market) for file in files for market in json.loads(file.read_text())["markets"]]
    markets = sorted(found, key=lambda market: market.collections)
    tables = measured_table(markets), stage_table(markets), sizing_table(markets, Prices(core_hour, gb_month))
    print("\n\n".join("\n".join(table) for table in tables))


def measured_table(markets: Sequence[Market]) -> list[str]:
    """One row per market that was run."""
    lines = [
        "| collections | sales | tokens | cold | CPU | memory | one more day | CPU | of cold | disk |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {m.collections:,} | {m.sales:,} | {m.tokens:,} | {_time(m.cold['elapsed_s'])} | "
        f"{_time(m.cold['cpu_s'])} | {m.cold['peak_mb'] / 1000:.1f} GB | {_time(m.day['elapsed_s'])} | "
        f"{_time(m.day['cpu_s'])} | {100 * m.day['elapsed_s'] / m.cold['elapsed_s']:.0f} % | "
        f"{sum(m.disk_mb.values()) / 1000:.1f} GB |"
        for m in markets
    ]


def stage_table(markets: Sequence[Market]) -> list[str]:
    """Seconds of each stage of a cold run and of one more day in the largest market, with their exponents."""
    large = markets[-1]
    lines = [
        f"| stage, {large.collections:,} collections | cold, s | exponent | one more day, s | exponent |",
        "|---|---|---|---|---|",
    ]
    for name in large.cold["stages"]:
        cells = [name]
        for run in ("cold", "day"):
            of = growth(markets, _of_stage(run, name))
            cells += [f"{of.cost:.1f}", f"{of.exponent:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    whole = [growth(markets, lambda m: m.cold["elapsed_s"]), growth(markets, lambda m: m.day["elapsed_s"])]
    lines.append(f"| all | {' | '.join(f'{of.cost:.1f} | {of.exponent:.2f}' for of in whole)} |")
    return lines


def _of_stage(run: str, name: str) -> Callable[[Market], float]:
    return lambda market: getattr(market, run)["stages"].get(name, 0.0)


def _on_disk(name: str) -> Callable[[Market], float]:
    return lambda market: market.disk_mb[name]


def sizing_table(markets: Sequence[Market], prices: Prices) -> list[str]:
    """What follows for larger markets, with what it costs a month: a machine that does one more day, and storage."""
    cold = growth(markets, lambda m: m.cold["cpu_s"])
    day = growth(markets, lambda m: m.day["cpu_s"])
    memory = growth(markets, lambda m: m.cold["peak_mb"])
    disk = {name: growth(markets, _on_disk(name)) for name in DISK}
    lines = [
        "| collections | cold, CPU hours | one more day, CPU hours | memory | lake | published answers | a month |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        stored = sum(of.at(size) for of in disk.values()) / 1000
        # A month: thirty days of updates, and one run from nothing.
        hours = (30 * day.at(size) + cold.at(size)) / 3600
        dollars = hours * prices.core_hour + stored * prices.gb_month
        lines.append(
            f"| {size:,} | {cold.at(size) / 3600:.1f} | {day.at(size) / 3600:.2f} | {memory.at(size) / 1000:.0f} GB | "
            f"{disk['lake'].at(size) / 1000:.0f} GB | {disk['published answers'].at(size) / 1000:.0f} GB | "
            f"{dollars:,.0f} $ |"
        )
    return lines


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    typer.run(main)
