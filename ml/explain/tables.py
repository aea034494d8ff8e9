"""The tables of explanations, and writing them.

Here: DDL of predictions.explanations and predictions.comparables. Not here: what is in them (`components`,
`comparables`).

Concept: explanations are derived and can be made again at any time, so a collection's rows are replaced as a whole and
no history is kept.
"""

from __future__ import annotations

import duckdb

from ml.explain.explain import Explanations
from ml.models.tables import append

TABLES = {
    # key: (collection, token_id, position). One component of one token's estimate; log_effects add up to its ln,
    # eth_effects to the estimate.
    "predictions.explanations": """
        collection varchar, token_id varchar, as_of timestamp, model_version varchar, position bigint,
        component varchar, label varchar, log_effect double, eth_effect double
    """,
    # key: (collection, token_id, rank). One sale that a token is compared with.
    "predictions.comparables": """
        collection varchar, token_id varchar, as_of timestamp, rank bigint, sale_id varchar, sold_token_id varchar,
        sold_at timestamp, price_eth double, similarity double, level_factor double, trait_factor double,
        adjusted_eth double
    """,
}


def write_explanations(con: duckdb.DuckDBPyConnection, explained: Explanations) -> tuple[int, int]:
    """Replace a collection's rows in both tables, in the caller's transaction; returns the rows written."""
    rows = {
        "predictions.explanations": explained.components,
        "predictions.comparables": explained.comparables,
    }
    con.execute("create schema if not exists predictions")
    for name, columns in TABLES.items():
        con.execute(f"create table if not exists {name} ({columns})")
        con.execute(f"delete from {name} where collection = $1", [explained.collection])
        append(con, name, rows[name])
    return explained.components.num_rows, explained.comparables.num_rows
