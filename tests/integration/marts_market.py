"""A small market with everything that goes wrong in it, as raw rows, and dbt to build its marts.

Rows arrive late, twice, from two sources, with a sibling of their transaction days later; prices are zero, missing, far
off or in a currency without a rate; tokens are washed; traits are revealed and corrected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.config import LakeConfig
from lake.connection import Lake
from lake.dbt import dbt_environment
from ml.tables.registry import TABLES
from orchestration.ingestion.days import insert_rows
from orchestration.marts.dbt_runner import QUICK, environment, invoke_dbt
from orchestration.marts.manifest import prepared_manifest
from orchestration.resources import DBT_PROJECT
from sources.contract import RAW_TABLES

START = datetime(2023, 3, 1)  # noqa: DTZ001 - the lake's times are naive UTC
DAY = timedelta(days=1)
Row = dict[str, Any]


def new_lake(home: Path | LakeConfig) -> Lake:
    return Lake(home if isinstance(home, LakeConfig) else LakeConfig(home, memory_limit="1GB"), TABLES)


def write_rows(
    lake: Lake, tables: dict[str, list[Row]], delivered_by: Callable[[Row], str] = lambda _: "test"
) -> None:
    """Insert rows as the ingestion does, each as if the source that `delivered_by` names had delivered it."""
    with lake.write("test rows") as con:
        for name, rows in tables.items():
            for source in sorted({delivered_by(row) for row in rows}):
                own = [row for row in rows if delivered_by(row) == source]
                con.register("batch", pa.Table.from_pylist(own, schema=RAW_TABLES[name].schema))
                insert_rows(con, source, name, "select * from batch", {})


def configure(lake: Lake, **priorities: int) -> None:
    """Configure sources with these priorities."""
    with lake.write("test sources") as con:
        for name, priority in priorities.items():
            con.execute(
                "insert into ops.sources (name, kind, priority) values (?, 'files', ?)", [name, priority]
            )


class Marts:
    """dbt in this process on one lake, with the project that `assay prepare` has parsed."""

    def __init__(self, lake: Lake, scratch: Path) -> None:
        self._lake = lake
        self._scratch = scratch
        self.variables: dict[str, str] = {}
        """Environment variables of dbt beside those of the lake."""

    def dbt(self, command: str, *options: str) -> Any:
        """Run a command; `run` builds models and seeds, as a build does, without the tests."""
        arguments = [command, *options]
        if command == "run":
            without = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
            arguments = ["build", *without, *options]
        folders = {"project-dir": DBT_PROJECT, "profiles-dir": DBT_PROJECT}
        folders |= {"target-path": self._scratch / "target", "log-path": self._scratch / "logs"}
        where = [part for option, folder in folders.items() for part in (f"--{option}", str(folder))]
        quick = ["--quiet", "--log-level-file", "warn", *QUICK]
        with self._lake.writing("dbt in a test"), environment(dbt_environment(self._lake) | self.variables):
            outcome = invoke_dbt([*arguments, *where, *quick], prepared_manifest())
        if outcome.exception is not None:
            raise outcome.exception
        failed = [f"{r.node.name}: {r.message}" for r in outcome.result if r.status in ("error", "fail")]
        assert not failed, "\n".join(failed)
        assert outcome.success
        return outcome.result


def sale(number: int, **changes: Any) -> Row:
    """An ordinary sale; `changes` make it special."""
    at = changes.pop("at", START + timedelta(hours=number))
    row: Row = {
        "chain": "ethereum",
        "collection": "apes",
        "contract": "0xa",
        "token_id": str(number),
        "tx_hash": f"0x{number:064x}",
        "log_index": 0,
        "sub_index": 0,
        "event_time": at,
        "time_uncertainty_s": 0.0,
        "known_at": at,
        "price_native": 1.0,
        "currency": "ETH",
        "sale_type": "secondary",
        "buyer": f"0xb{number}",
        "seller": f"0xc{number}",
        "source": "one",
        "source_row": f"sales:{number}",
    }
    return {**row, **changes}


def trait(collection: str, token: str, kind: str, value: str | None, known_at: datetime, row: str) -> Row:
    return {
        "chain": "ethereum",
        "collection": collection,
        "contract": "0xa",
        "token_id": token,
        "trait_type": kind,
        "trait_value": value,
        "known_at": known_at,
        "source": "one",
        "source_row": row,
    }


def by_arrival(tables: dict[str, list[Row]]) -> dict[datetime, dict[str, list[Row]]]:
    """The rows of each day of knowing."""
    days: dict[datetime, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in tables.items():
        for row in rows:
            days[row["known_at"].replace(hour=0, minute=0, second=0, microsecond=0)][name].append(row)
    return days


def merged(parts: Iterable[dict[str, list[Row]]]) -> dict[str, list[Row]]:
    together: dict[str, list[Row]] = defaultdict(list)
    for part in parts:
        for name, rows in part.items():
            together[name].extend(rows)
    return together


def troubled_market(
    seed: int, days: int = 24, collections: int = 4, sales: int = 700
) -> dict[str, list[Row]]:
    """Raw rows of a market in which every rule of the marts has work to do."""
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(collections)]
    tables: dict[str, list[Row]] = defaultdict(list)
    for number in range(sales):
        tables["sales"].extend(_tellings(rng, number, names, days))
    for row in [r for r in tables["sales"] if r["tx_hash"].startswith("0x")]:
        if rng.random() < 0.5:
            tables["transfers"].append(_transfer(rng, row))
    _add_rates(tables, days)
    _add_listings(rng, tables, names, days)
    _add_traits(rng, tables, names, days)
    return tables


def _tellings(rng: np.random.Generator, number: int, names: list[str], days: int) -> list[Row]:
    """One sale as the sources report it: once, twice, late, in pieces."""
    at = START + timedelta(seconds=int(rng.integers(0, days * 86_400)))
    late = timedelta(days=int(rng.integers(1, 6))) if rng.random() < 0.1 else timedelta(0)
    wallets = [f"0xw{i}" for i in rng.integers(0, 9, size=2)]
    row = sale(
        number,
        at=at,
        collection=str(rng.choice(names)),
        token_id=str(rng.integers(0, 18)),
        known_at=at + late,
        price_native=float(np.round(np.exp(rng.normal(0, 0.5)), 3)),
        currency=str(rng.choice(["ETH", "WETH", "USDC", "MANA"], p=[0.7, 0.1, 0.15, 0.05])),
        buyer=wallets[0],
        seller=wallets[1],
        gas_used=number,
        gas_price_wei=10**12,
        gas_payer=wallets[number % 2] if number % 3 else None,
        side="listing_filled" if number % 2 else None,
    )
    if row["currency"] in ("USDC", "MANA"):
        row["price_native"] *= 1500.0
    chance = rng.random()
    if chance < 0.05:
        row["price_native"] /= 30
    elif chance < 0.09:
        row["price_native"] = 0.0
    elif chance < 0.11:
        row["price_native"] = None
    elif chance < 0.13:
        row["sale_type"] = "primary"
    elif chance < 0.15:
        row["is_bundle_share"] = True
    elif chance < 0.17:
        row["buyer"] = None
    rows = [row]
    again = rng.random()
    other = {"source": "two", "source_row": f"b:{number}"}
    later = at + late + timedelta(days=int(rng.integers(0, 4)), seconds=int(rng.integers(0, 9)))
    if again < 0.05:
        rows.append({**row, "known_at": later, "source_row": f"again:{number}"})
    elif again < 0.10:
        rows.append({**row, **other, "known_at": later, "log_index": 7})
    elif again < 0.16:
        half_day = at.replace(hour=12, minute=0, second=0)
        vague = {"tx_hash": f"row:b:{number}", "event_time": half_day, "time_uncertainty_s": 43_200.0}
        rows.append({**row, **other, **vague, "known_at": max(half_day + DAY / 2, later)})
    elif again < 0.24:
        sibling = {"token_id": str(rng.integers(0, 18)), "collection": str(rng.choice(names)), "log_index": 1}
        sibling |= {"price_native": row["price_native"] and 2 * row["price_native"]}
        rows.append({**row, **sibling, "known_at": later, "source_row": f"sibling:{number}"})
    return rows


def _transfer(rng: np.random.Generator, row: Row) -> Row:
    kept = ("chain", "collection", "contract", "token_id", "tx_hash", "sub_index", "event_time", "source")
    return {
        **{name: row[name] for name in kept},
        "log_index": row["log_index"] + 100,
        "time_uncertainty_s": 0.0,
        "known_at": row["known_at"] + timedelta(days=int(rng.integers(0, 3))),
        "from_address": row["seller"],
        "to_address": row["buyer"] or "0xw0",
        "source_row": "t:" + row["source_row"],
    }


def _add_rates(tables: dict[str, list[Row]], days: int) -> None:
    for day in range(-3, days):
        for symbol, rate in (("ETH", 1500.0 + 10 * day), ("USDC", 1.0), ("MANA", 1.0 + day / 50)):
            if symbol == "MANA" and day > 3:
                continue
            at = START + day * DAY
            tables["exchange_rates"].append(
                {
                    "symbol": symbol,
                    "quote": "USD",
                    "rate": rate,
                    "granularity": "day",
                    "event_time": at,
                    "known_at": at + DAY,
                    "source": "one",
                    "source_row": f"{symbol}:{day}",
                }
            )


def _add_listings(
    rng: np.random.Generator, tables: dict[str, list[Row]], names: list[str], days: int
) -> None:
    for number in range(250):
        at = START + timedelta(seconds=int(rng.integers(0, days * 86_400)))
        row: Row = {
            "chain": "ethereum",
            "collection": str(rng.choice(names)),
            "contract": "0xa",
            "token_id": str(rng.integers(0, 18)),
            "order_id": f"o{number}",
            "event_kind": "created",
            "side": str(rng.choice(["ask", "bid"])),
            "price_native": float(np.round(rng.uniform(0.5, 2), 3)),
            "currency": str(rng.choice(["ETH", "USDC"], p=[0.9, 0.1])),
            "maker": "0xW1",
            "event_time": at,
            "time_uncertainty_s": 0.0,
            "known_at": at,
            "source": "one",
            "source_row": f"l:{number}",
        }
        tables["listings"].append(row)
        if rng.random() < 0.4:
            end = at + timedelta(days=float(rng.uniform(0.1, 5)))
            tables["listings"].append({**row, "event_kind": "cancelled", "event_time": end, "known_at": end})
        if rng.random() < 0.2:
            tables["listings"].append({**row, "known_at": at + 2 * DAY, "source_row": f"again:{number}"})


def _add_traits(rng: np.random.Generator, tables: dict[str, list[Row]], names: list[str], days: int) -> None:
    # The last collection has no traits at all; the traits of a token in ten are not reported.
    for name in names[:-1]:
        tables["collections"].append(
            {
                "chain": "ethereum",
                "collection": name,
                "contract": "0xa",
                "name": name.upper(),
                "supply": 30,
                "known_at": START,
                "source": "one",
                "source_row": f"c:{name}",
            }
        )
        reported_at = START + timedelta(days=int(rng.integers(0, 4)))
        for token in range(30):
            if rng.random() < 0.1:
                continue
            for kind in ("Hat", "Eyes", "Fur"):
                if rng.random() < 0.75:
                    value = f"{kind} {rng.integers(0, 5)}"
                    key = f"{name}:{token}:{kind}"
                    tables["token_traits"].append(trait(name, str(token), kind, value, reported_at, key))
                    if rng.random() < 0.1:
                        corrected = reported_at + timedelta(days=int(rng.integers(1, days - 6)))
                        tables["token_traits"].append(
                            trait(name, str(token), kind, f"{kind} 9", corrected, key + ":corrected")
                        )
            for accessory in rng.choice(8, size=rng.integers(0, 4), replace=False):
                key = f"{name}:{token}:accessory:{accessory}"
                tables["token_traits"].append(
                    trait(name, str(token), "Accessory", f"A{accessory}", reported_at, key)
                )
