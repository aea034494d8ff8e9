"""How many models err how much, week by week: `monitoring.mape_buckets`.

Here: models by bucket of their mean error. Not here: whether one of them is degraded (`ml.monitoring.online_error`).
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.tables.monitoring import MAPE_BUCKETS

TABLE = MAPE_BUCKETS.name

EDGES = (0.05, 0.10, 0.20, 0.30, 0.50, 1.00)
"""Upper edges of the buckets, as fractions of the price."""

BUCKETS = (
    *(f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in zip((0.0, *EDGES), EDGES, strict=False)),
    f"over {100 * EDGES[-1]:.0f} %",
)

MIN_SALES = 5
"""Clean sales of a model in a week below which its week is counted under no bucket."""

WEEKS = 26
"""Weeks that are shown; every bucket of a week has its row, also with no model."""


def update_mape_buckets(con: duckdb.DuckDBPyConnection, as_of: datetime) -> int:
    """Count the weeks before as-of time `as_of` again, in the caller's transaction; returns rows."""
    con.execute(f"delete from {TABLE}")
    number = " ".join(f"when mape <= {edge} then {i}" for i, edge in enumerate(EDGES))
    names = ", ".join(f"({i}, '{name}')" for i, name in enumerate(BUCKETS))
    written = con.execute(
        f"""
        insert into {TABLE} by name
        with models as (
            select
                date_trunc('week', known_at) as window_start, collection, count(*) as sales,
                avg(abs(estimate_eth / price_eth - 1)) as mape
            from {LEDGER}
            where is_arms_length and estimate_eth > 0 and known_at < $as_of
                and known_at >= date_trunc('week', $as_of::timestamp) - to_days($days)
            group by all
            having sales >= $min_sales
        ),
        numbered as (select *, case {number} else {len(EDGES)} end as bucket_number from models),
        grid as (
            select w.window_start, names.* from (select distinct window_start from models) as w
            cross join (values {names}) as names (bucket_number, bucket)
        )
        select
            grid.window_start, grid.bucket_number, grid.bucket, count(numbered.collection) as models,
            coalesce(sum(numbered.sales), 0)::bigint as sales
        from grid left join numbered using (window_start, bucket_number)
        group by grid.window_start, grid.bucket_number, grid.bucket
        """,
        {"as_of": as_of, "days": 7 * WEEKS, "min_sales": MIN_SALES},
    ).fetchone()
    return int(written[0]) if written else 0
