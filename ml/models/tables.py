"""The tables this room writes: predictions.* and ops.*, as DDL in one place.

Here: columns, types and grain of every table, and making them. Not here: who fills them.

Concept: the lake has no constraints, so each table names its key in a comment and writers delete before they
insert. Times are UTC without a zone; prices are ETH; names ending in _log are natural logs of ETH.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import duckdb
import pyarrow as pa

from lake.connection import missing_tables

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
"""The zero of the lake's timestamps, which are UTC without a zone."""

TABLES: dict[str, str] = {
    # key: sale_id. Out-of-fold prediction of every past sale with features.
    "predictions.prior_walk_forward": """
        sale_id varchar, collection varchar, seq bigint, known_at timestamp, fold bigint, prior_version
        varchar, target_log double, base_log double, prediction_log double, premium_tier bigint, scale double,
        half_80 double, half_90 double, floor_log double, med_30_log double, med_5_log double, last_index_log
        double
    """,
    # key: sale_id. Newest sales of collections whose local model was judged, priced by a model fitted before
    # them.
    "predictions.local_walk_forward": """
        sale_id varchar, collection varchar, weight double, prediction_log double
    """,
    # key: (collection, token_id). One row per token; estimate null exactly where no_value_reason is not.
    "predictions.token_estimates": """
        collection varchar, token_id varchar, estimate_eth double, lower_80_eth double, upper_80_eth double,
        lower_90_eth double, upper_90_eth double, expected_eth double, tier varchar, no_value_reason varchar,
        model_version varchar, prior_version varchar, feature_fingerprint varchar, as_of timestamp,
        feature_watermark timestamp, snapshot_id bigint, floor_eth double, last_sale_eth double, grade varchar
    """,
    # key: (collection, token_id, as_of, model_version, prior_version). Append-only; only tokens with a value.
    "predictions.estimate_history": """
        collection varchar, token_id varchar, estimate_eth double, lower_80_eth double, upper_80_eth double,
        lower_90_eth double, upper_90_eth double, expected_eth double, tier varchar, model_version varchar,
        prior_version varchar, as_of timestamp, feature_watermark timestamp, snapshot_id bigint, grade varchar
    """,
    # key: (market, fold). Cutoffs and models of the walk-forward; a market's newest fold is its live prior.
    "ops.prior_folds": """
        market varchar, fold bigint, cutoff timestamp, sales bigint, prior_version varchar, prior_sha varchar, scale_sha
        varchar, feature_fingerprint varchar, config_fingerprint varchar
    """,
    # key: (prior_version, calibrated_at, premium_tier).
    "ops.interval_calibration": """
        prior_version varchar, calibrated_at timestamp, premium_tier bigint, quantile_80 double, quantile_90
        double, mean_log double, sales bigint
    """,
    # key: (market, measured_at). How errors of tokens held together move together (ml.portfolio).
    "ops.portfolio_risk": """
        market varchar, measured_at timestamp, variance double, same_collection double, other_collections
        double, quantile_80 double, portfolios bigint
    """,
    # key: (market, rarity_bin). Correction of the index for tokens of hardly traded collections.
    "ops.rarity_effect": """
        market varchar, rarity_bin bigint, effect_log double, sales bigint
    """,
    # key: collection. Mirror of the registry's champion aliases: what inference reads.
    "ops.champions": """
        collection varchar, version bigint, tier varchar, prior_version varchar, local_sha varchar, weight
        double, index_fingerprint varchar, feature_fingerprint varchar, trained_until
        timestamp, snapshot_id bigint, previous_version bigint, numbers varchar
    """,
    # key: (collection, decided_at, run_id).
    "ops.decision_log": """
        decided_at timestamp, run_id varchar, collection varchar, action varchar, rule varchar, reason
        varchar, numbers varchar, challenger varchar, champion varchar
    """,
}


ADDED_COLUMNS: dict[str, dict[str, str]] = {
    "predictions.token_estimates": {"grade": "varchar"},
    "predictions.estimate_history": {"grade": "varchar"},
    "ops.rarity_effect": {"market": "varchar"},
}
"""Columns that tables of homes made earlier lack; they are null in the rows written before."""


def create_tables(con: duckdb.DuckDBPyConnection, names: Iterable[str] | None = None) -> None:
    """Make the tables (all when `names` is None), their schemas and the columns added since, where they are missing."""
    for name in names or TABLES:
        con.execute(f"create schema if not exists {name.split('.')[0]}")
        con.execute(f"create table if not exists {name} ({TABLES[name]})")
        if name in ADDED_COLUMNS:
            add_columns(con, name, ADDED_COLUMNS[name])


def add_columns(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str]) -> None:
    """Add the columns (name to type) that a table of an older home lacks; they are null in its rows."""
    present = {row[0] for row in con.execute(f"describe {name}").fetchall()}
    for column, kind in columns.items():
        # altered only when needed: an alteration is a schema change of the lake
        if column not in present:
            con.execute(f"alter table {name} add column {column} {kind}")


def table_exists(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether `schema.table` can be read on this connection."""
    return not missing_tables(con, [name])


def append(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Append Arrow rows to a table, matching columns by name."""
    con.register("_incoming", rows)
    try:
        con.execute(f"insert into {name} by name select * from _incoming")
    finally:
        con.unregister("_incoming")


def replace(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Replace the whole content of a table by Arrow rows, matching columns by name."""
    con.execute(f"delete from {name}")
    append(con, name, rows)
