"""A small market in a real lake, made by inserting rows: names that hurt, owners, history, tokens without a value."""

from __future__ import annotations

from datetime import datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES
from serving.store.publication import PublicationReport, publish
from tests.names import HOSTILE

NOW = datetime(2026, 1, 10)  # noqa: DTZ001 - the lake's naive UTC
PUBLISHED = 1_768_000_000.0
CONTRACT = "0xAbCd000000000000000000000000000000000001"
SHARED_CONTRACT = "0xffff000000000000000000000000000000000009"
LONG_NAME = "long 🦍/'\"" * 1000
WHALE = "0xWhale00000000000000000000000000000000AA"
NAMES = (
    "Apes",
    "Bored Apes",
    "bored-apes",
    SHARED_CONTRACT,
    "a/b",
    "quo\"te's",
    "🦍🍌",
    "100%",
    "%2F",
    "?x=1#y",
    LONG_NAME,
    *HOSTILE,
)
"""Collections. Two share a contract, one is called like the slug of another, one like the contract of two."""


class Market:
    """The lake of a test, and what happens in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lake = Lake(LakeConfig(home=home, threads=1, memory_limit="512MB"), TABLES)
        self.as_of = NOW

    def open(self, names: tuple[str, ...] = NAMES, tokens: int = 12) -> None:
        """Collections of so many tokens each, valued once."""
        with self.lake.write("a market") as con:
            for number, name in enumerate(names):
                _add_collection(con, number, name, tokens)
            insert_rows(
                con,
                "ops.portfolio_risk",
                [
                    {
                        "market": "all",
                        "measured_at": NOW - timedelta(days=1),
                        "variance": 0.6,
                        "same_collection": 0.25,
                        "other_collections": 0.1,
                        "quantile_80": 1.28,
                        "portfolios": 100,
                    }
                ],
            )
            insert_rows(
                con,
                "monitoring.accuracy_report",
                [{"as_of": NOW, "document": '{"chains": {"all": {"sales": 3}}, "odd": NaN}', "basis": "x"}],
            )

    def value_again(self, collections: tuple[str, ...], factor: float = 1.1) -> None:
        """A day later these collections have other estimates; the old ones are history."""
        self.as_of += timedelta(days=1)
        with self.lake.write("another day") as con:
            for name in collections:
                con.execute(
                    "update predictions.token_estimates set estimate_eth = estimate_eth * $factor, as_of = $as_of"
                    " where collection = $name",
                    {"factor": factor, "as_of": self.as_of, "name": name},
                )
                _remember(con, name)

    def change(self, *statements: str) -> None:
        """Anything else."""
        with self.lake.write("a change") as con:
            for statement in statements:
                con.execute(statement)

    def publish(self, folder: Path, now: float = PUBLISHED) -> PublicationReport:
        """Bring the store up to date."""
        with self.lake.read() as con:
            return publish(con, folder, self.as_of, now=now)


def publish_when_started(
    home: Path, folder: Path, as_of: datetime, ready: Event, start: Event, done: Event
) -> None:
    """In a process of its own: open the lake, wait, publish. It may be killed at any moment."""
    with Market(home).lake.read() as con:
        ready.set()
        start.wait()
        publish(con, folder, as_of)
    done.set()


def _add_collection(con: duckdb.DuckDBPyConnection, number: int, name: str, tokens: int) -> None:
    shared = name in ("Bored Apes", "🦍🍌")
    contract = CONTRACT if name == "Apes" else SHARED_CONTRACT if shared else f"0x{number:040x}"
    insert_rows(
        con,
        "marts.dim_collections",
        [
            {
                "collection": name,
                "chain": "ethereum",
                "contract": contract,
                "name": name,
                "supply": tokens,
                "tokens": tokens,
                "n_sales": 7,
                "n_arms_length": 5,
                "last_sale_at": NOW - timedelta(days=2),
                "covered_until": NOW,
            }
        ],
    )
    valued = range(tokens - 2)
    insert_rows(
        con,
        "predictions.token_estimates",
        [
            {
                "collection": name,
                "token_id": str(token),
                "estimate_eth": 1.0 + token % 5,
                "lower_80_eth": 0.8 + token % 5,
                "upper_80_eth": 1.3 + token % 5,
                "lower_90_eth": 0.7 + token % 5,
                "upper_90_eth": 1.5 + token % 5,
                "expected_eth": 1.05 + token % 5,
                "tier": "pooled",
                "grade": "ABCD"[token % 4],
                "model_version": f"{name}@1",
                "prior_version": "p1",
                "as_of": NOW,
                "feature_watermark": NOW - timedelta(hours=3),
                "snapshot_id": 1,
                "floor_eth": 0.9,
            }
            for token in valued
        ]
        + [
            {
                "collection": name,
                "token_id": str(token),
                "tier": "none",
                "no_value_reason": "fewer_than_3_sales",
                "as_of": NOW,
                "feature_watermark": NOW,
                "snapshot_id": 1,
            }
            for token in range(tokens - 2, tokens)
        ],
    )
    _remember(con, name)
    insert_rows(
        con,
        "marts.fct_holdings",
        [
            {
                "collection": name,
                "token_id": str(token),
                "owner": WHALE if token < 2 else f"0x{number:02x}{token:038x}",
                "held_since": NOW - timedelta(days=9),
            }
            for token in range(tokens)
        ],
    )


def _remember(con: duckdb.DuckDBPyConnection, name: str) -> None:
    columns = [row[0] for row in con.execute("describe predictions.estimate_history").fetchall()]
    con.execute(
        f"insert into predictions.estimate_history by name select {', '.join(columns)}"
        " from predictions.token_estimates where collection = $1 and estimate_eth is not null",
        [name],
    )


def insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    names = sorted({name for row in rows for name in row})
    con.register("_rows", pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]))
    con.execute(f"insert into {table} by name select * from _rows")
    con.unregister("_rows")
