"""Watched values written straight into the tables that drift reads: one row per sale, every feature a column."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd

from lake.tables import create_missing
from ml.features.schema import FEATURES
from ml.tables.registry import TABLES

START = datetime(2024, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
NOW = START + timedelta(days=60)
NAMES = [f.name for f in FEATURES]


def sales(collection: str = "c0", n: int = 150, seed: int = 0, days: float = 59.5) -> pd.DataFrame:
    """`n` sales of one collection, evenly over `days`, every feature and the target independent and standard normal."""
    rng = np.random.default_rng([seed, n])
    frame = pd.DataFrame(rng.standard_normal((n, len(NAMES))).astype("float32"), columns=NAMES)
    frame["collection"] = collection
    frame["sale_id"] = [f"{collection}-{i}" for i in range(n)]
    frame["seq"] = np.arange(1, n + 1)
    frame["known_at"] = [START + timedelta(days=days * (i + 1) / n) for i in range(n)]
    frame["base_log"] = 0.0
    frame["target_log"] = rng.standard_normal(n)
    return frame


def market(*frames: pd.DataFrame, errors: bool = True) -> duckdb.DuckDBPyConnection:
    """A database with these sales, and predictions with an error of their own."""
    con = duckdb.connect()
    con.execute("create schema features; create schema marts; create schema predictions")
    everything = pd.concat(frames, ignore_index=True) if frames else sales(n=1).iloc[:0]
    con.register("everything", everything)
    con.execute("create table features.sale_features as select * from everything")
    con.execute(
        "create table marts.dim_collections as"
        " select distinct collection, 'ethereum' as chain from features.sale_features"
    )
    if errors:
        con.execute(
            "create table predictions.prior_walk_forward as select sale_id, target_log + 0.1 * rarity_pct as"
            " prediction_log from features.sale_features"
        )
    create_missing(con, TABLES)
    return con


def add(con: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> None:
    """More sales in the same market."""
    con.execute("insert into features.sale_features by name select * from frame")
