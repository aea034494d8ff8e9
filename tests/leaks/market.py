"""A small market with a collection for every leak of docs/domain.md, section 4, and what Assay publishes of it.

Here: the raw rows before anything is planted, and the path from raw rows to the published numbers. Not here: the leaks
(`plants`). Prices follow a level that walks, a trait that is worth something and noise, so that an estimate can be
better or worse and a leak can pay.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from lake.connection import Lake
from ml.compute.backend import ThreadBackend
from ml.features.build import update_sale_features
from ml.features.schema import FEATURES
from ml.index.update import update_index
from ml.models.prior import PriorConfig, ScaleConfig
from ml.registry.artifacts import ArtifactStore
from ml.training.pooled import PooledConfig, train_pooled
from ml.training.pooled_tables import record_pooled
from ml.training.walk_forward import WalkForwardConfig
from tests.integration.marts_market import START, Marts, Row, new_lake, sale, trait, write_rows

#: A filled listing is seen by every later sale, as it should be: one victim each, in collections of their own.
FILLED = tuple(f"filled_{i}" for i in range(5))
COLLECTIONS = ("sweep", "late_listing", "reveal", "washed", "rates", "targets", "vague", *FILLED)
SALES, LAST_SALES, TOKENS, DAYS = 60, 8, 24, 50
#: The last day: what is planted becomes known on it or after it, and its sales are the victims.
LAST_DAY = START + timedelta(days=DAYS + 1)
END = LAST_DAY + timedelta(days=1)
NOISE = 0.12
TRAINING = PooledConfig(
    walk_forward=WalkForwardConfig(
        refits=3, first_share=0.4, prior=PriorConfig(iterations=60), scale=ScaleConfig(iterations=40)
    ),
    gate_rows=200,
)
Tables = dict[str, list[Row]]


def level(collection: str, hours: float) -> float:
    """Log level: a wave whose phase differs by collection, so that what is old is wrong."""
    phase = COLLECTIONS.index(collection) if collection in COLLECTIONS else 0
    return 0.5 * float(np.sin(hours / (24 * 6) + phase))


def worth(token: int) -> float:
    """Log premium of a token: every third has the crown hat."""
    return 0.6 if token % 3 == 0 else 0.0


def price(collection: str, token: int, hours: float, rng: np.random.Generator) -> float:
    return float(np.exp(level(collection, hours) + worth(token) + rng.normal(0, NOISE)))


def base_market(seed: int = 5, collections: tuple[str, ...] = COLLECTIONS) -> Tables:
    """Raw rows of the market without any leak."""
    rng = np.random.default_rng(seed)
    tables: Tables = defaultdict(list)
    number = 0
    for name in collections:
        last = np.full(LAST_SALES, 12.0) if name == "sweep" else np.linspace(6, 18, LAST_SALES)
        last = last[-1:] if name in FILLED else last
        for hours in [*np.sort(rng.uniform(0, DAYS * 24, SALES)), *(DAYS * 24 + 24 + last)]:
            token = int(rng.integers(0, TOKENS))
            row = sale(
                number,
                at=START + timedelta(hours=float(hours)),
                collection=name,
                token_id=str(token),
                price_native=price(name, token, hours, rng),
            )
            tables["sales"].append(row)
            number += 1
        if name != "reveal":
            tables["token_traits"].extend(traits_of(name))
        _add_orders(rng, tables, name)
    _in_dollars(tables)
    _add_rates(tables)
    return tables


def traits_of(name: str, known_days: float = -1.0) -> list[Row]:
    known = START + timedelta(days=known_days)
    rows = []
    for token in range(TOKENS):
        hat = "crown" if token % 3 == 0 else "none"
        rows.append(trait(name, str(token), "Hat", hat, known, f"{name}:{token}:hat"))
        rows.append(trait(name, str(token), "Eyes", f"eyes {token % 4}", known, f"{name}:{token}:eyes"))
    return rows


def listing(name: str, token: int | None, at: Any, price_eth: float, number: str, **changes: Any) -> Row:
    row: Row = {
        "chain": "ethereum",
        "collection": name,
        "contract": "0xa",
        "token_id": None if token is None else str(token),
        "order_id": number,
        "event_kind": "created",
        "side": "ask",
        "price_native": price_eth,
        "currency": "ETH",
        "maker": "0xmaker",
        "event_time": at,
        "time_uncertainty_s": 0.0,
        "known_at": at,
        "source": "one",
        "source_row": f"listing:{number}",
    }
    return {**row, **changes}


def rate(symbol: str, value: float, day: float, known_day: float, row: str) -> Row:
    return {
        "symbol": symbol,
        "quote": "USD",
        "rate": value,
        "granularity": "day",
        "event_time": START + timedelta(days=day),
        "known_at": START + timedelta(days=known_day),
        "source": "one",
        "source_row": row,
    }


def _add_orders(rng: np.random.Generator, tables: Tables, name: str) -> None:
    for number, hours in enumerate(np.sort(rng.uniform(0, DAYS * 24, 60))):
        token = int(rng.integers(0, TOKENS))
        ask = price(name, token, hours, rng) * 1.15
        at = START + timedelta(hours=float(hours))
        tables["listings"].append(listing(name, token, at, ask, f"{name}-{number}"))


def _in_dollars(tables: Tables) -> None:
    """Every fifth sale of the collection `rates` is paid in a token whose rate moves from day to day."""
    for number, row in enumerate([r for r in tables["sales"] if r["collection"] == "rates"]):
        if number % 5 == 4:
            day = int((row["event_time"] - START) / timedelta(days=1))
            row["currency"] = "MANA"
            row["price_native"] = row["price_native"] * 1500.0 / mana(day)


def mana(day: float) -> float:
    """Dollars of one MANA on a day: it jumps up and down, so that yesterday's rate is wrong."""
    return 1.0 + 0.35 * (int(day) % 2)


def _add_rates(tables: Tables) -> None:
    for day in range(-3, DAYS + 3):
        tables["exchange_rates"].append(rate("ETH", 1500.0, day, day + 1, f"ETH:{day}"))
        tables["exchange_rates"].append(rate("MANA", mana(day), day, day + 1, f"MANA:{day}"))


@dataclass
class Home:
    """A lake with its marts, index, features and walk-forward, built from raw rows by the production path."""

    folder: Path
    lake: Lake = field(init=False)
    marts: Marts = field(init=False)
    artifacts: ArtifactStore = field(init=False)

    def __post_init__(self) -> None:
        self.lake = new_lake(self.folder / "home")
        self.marts = Marts(self.lake, self.folder)
        self.artifacts = ArtifactStore.in_folder(self.folder / "artifacts")

    def ingest(self, tables: Tables) -> None:
        """Raw rows → marts → index → features → walk-forward. All of history is computed anew, by the same folds.

        Incrementally nothing would be computed twice, and a leak into old rows would stay unseen.
        """
        write_rows(self.lake, tables)
        self.marts.dbt("run", "--full-refresh")
        with self.lake.write("index and features") as con:
            for table in ("hedonic_index", "token_index", "index_state", "sale_features", "feature_state"):
                con.execute(f"delete from features.{table}")
            update_index(con, ThreadBackend(1))
            update_sale_features(con)
        with self.lake.read() as con:
            outcome = train_pooled(con, self.artifacts, run_id="test", config=TRAINING)
        with self.lake.write("walk-forward") as con:
            record_pooled(con, outcome)

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.lake.read() as con:
            return con.execute(sql, list(parameters)).to_arrow_table().to_pylist()

    def published(self) -> dict[str, dict[str, Any]]:
        """What Assay stores of every past sale: price and flags, every feature, the baselines, the prediction."""
        names = ", ".join(f"s.{feature.name}" for feature in FEATURES)
        rows = self.query(
            f"""
            select
                f.tx_hash || ':' || f.log_index as sale, f.collection, f.token_id, f.event_time, f.price_eth, f.is_wash,
                f.is_low_outlier, f.is_arms_length, s.base_log, {names},
                w.prediction_log, w.scale, w.half_80, w.half_90, w.premium_tier,
                w.floor_log, w.med_30_log, w.med_5_log, w.last_index_log
            from marts.fct_sales as f
            left join features.sale_features as s on f.sale_id = s.sale_id
            left join predictions.prior_walk_forward as w on f.sale_id = w.sale_id
            """
        )
        return {row["sale"]: row for row in rows}
