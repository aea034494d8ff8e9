"""A small market in a real lake, made by inserting rows: names that hurt, owners, history, tokens without a value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lake.config import LakeConfig
from lake.connection import Lake
from ml.tables.registry import TABLES
from serving.store.publication import PublicationConfig, PublicationReport, publish
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
            _insert(
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
            _insert(
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

    def publish(
        self, location: Path | str, now: float = PUBLISHED, config: PublicationConfig | None = None
    ) -> PublicationReport:
        """Bring the store up to date."""
        with self.lake.read() as con:
            return publish(con, location, self.as_of, config=config, now=now)


CHANGES: tuple[Callable[[Market], None], ...] = (
    lambda market: market.value_again(("Apes", "a/b")),
    lambda market: market.change(
        f"update marts.fct_holdings set owner = '{WHALE}' where token_id = '7' and collection = 'Apes'",
        "delete from marts.fct_holdings where token_id = '1' and collection = 'a/b'",
    ),
    lambda market: market.change(
        "delete from predictions.token_estimates where token_id = '3' and collection = 'a/b'"
    ),
    lambda market: market.change(
        "update marts.dim_collections set contract = '0xnew', name = 'New' where collection = 'a/b'"
    ),
    lambda market: market.change("delete from predictions.estimate_history where token_id = '2'"),
    lambda market: market.change(
        "update predictions.estimate_history set as_of = as_of - interval 400 day where token_id = '4'"
    ),
    lambda market: market.change("delete from predictions.token_estimates where collection = '🦍🍌'"),
    lambda market: market.change("update monitoring.accuracy_report set document = '{}'"),
    lambda market: market.change("delete from marts.fct_wallet_positions where token_id = '1'"),
    lambda market: market.change(
        "update marts.fct_realized_gains set wallet = '0xother' where collection = 'Apes'",
        "delete from marts.fct_wallet_positions where collection = 'Apes'",
    ),
    lambda market: market.change("delete from marts.fct_realized_gains where wallet = '0xother'"),
)
"""What may happen to a market between two publications, of each kind once; for the collections `SMALL`."""
SMALL = ("Apes", "a/b", "🦍🍌", "?x=1#y")


def publish_when_started(
    home: Path, folder: Path | str, as_of: datetime, ready: Event, start: Event, done: Event
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
    _insert(
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
    _insert(
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
                "lowest_ask_eth": 0.95,
                "lowest_ask_at": NOW - timedelta(days=1),
                "live_asks": 3,
                "floor_proxy_eth": 0.9,
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
    _add_lots(con, name)
    _insert(
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


def _add_lots(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """What `WHALE` holds of a collection, one token at a known cost, and what it has sold: known, unknown, a gift."""
    wallet = WHALE.lower()
    held = {"wallet": wallet, "chain": "ethereum", "collection": name, "quantity": 1, "lots": 1}
    bought = {
        "basis_status": "known",
        "cost_wei": Decimal(10**18 + 1),
        "cost_usd": 2500.0,
        "quantity_with_basis": 1,
    }
    gift = {"basis_status": "unknown", "unknown_basis_reason": "received_without_price"}
    times = {"first_acquired_at": NOW - timedelta(days=30), "last_acquired_at": NOW - timedelta(days=30)}
    _insert(
        con,
        "marts.fct_wallet_positions",
        [
            {**held, **bought, **times, "token_id": "0", "last_tx_hash": "0xbought"},
            {**held, **gift, **times, "token_id": "1", "last_tx_hash": "0xgift"},
        ],
    )
    row = {
        **{
            "wallet": wallet,
            "chain": "ethereum",
            "collection": name,
            "quantity": 1,
            "acquisition_kind": "bought",
        },
        **{
            "acquired_at": NOW - timedelta(days=700),
            "disposed_at": NOW - timedelta(days=20),
            "holding_days": 680,
        },
        **{"is_long_term": True, "cost_wei": Decimal(10**18), "proceeds_wei": Decimal(3 * 10**18)},
        **{"fees_wei": Decimal(10**16), "gain_wei": Decimal(2 * 10**18), "cost_usd": 1000.0},
        **{"proceeds_usd": 6000.0, "gain_usd": 5000.0, "disposal_kind": "sold", "basis_status": "known"},
    }
    unknown = {
        "cost_wei": None,
        "gain_wei": None,
        "cost_usd": None,
        "gain_usd": None,
        "basis_status": "unknown",
    }
    sent = {
        "disposal_kind": "sent",
        "proceeds_wei": None,
        "gain_wei": None,
        "proceeds_usd": None,
        "gain_usd": None,
    }
    _insert(
        con,
        "marts.fct_realized_gains",
        [
            {**row, "token_id": "5", "disposal_id": f"{name} 5", "acquisition_id": f"{name} 5 a"},
            {
                **{**row, **unknown, "no_gain_reason": "received_without_price"},
                **{"token_id": "6", "disposal_id": f"{name} 6", "acquisition_id": f"{name} 6 a"},
            },
            {
                **{**row, **sent, "no_gain_reason": "sent", "disposed_at": NOW - timedelta(days=10)},
                **{"token_id": "7", "disposal_id": f"{name} 7", "acquisition_id": f"{name} 7 a"},
            },
        ],
    )


def _remember(con: duckdb.DuckDBPyConnection, name: str) -> None:
    columns = [row[0] for row in con.execute("describe predictions.estimate_history").fetchall()]
    con.execute(
        f"insert into predictions.estimate_history by name select {', '.join(columns)}"
        " from predictions.token_estimates where collection = $1 and estimate_eth is not null",
        [name],
    )


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    names = sorted({name for row in rows for name in row})
    con.register("_rows", pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]))
    con.execute(f"insert into {table} by name select * from _rows")
    con.unregister("_rows")
