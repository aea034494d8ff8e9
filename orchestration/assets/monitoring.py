"""Group monitoring: what the system knows about its own errors.

Here: glue over `ml.evaluation`. Not here: SLOs (`slo`), or any figure.
"""

import dagster as dg

from orchestration.assets.conventions import LAKE_WRITER, MODEL_TEAM, table_columns
from orchestration.resources import AssayResource


@dg.asset(
    group_name="monitoring",
    deps=["fct_sales", "fct_listings", "pooled_prior", "token_estimates"],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    description="Every sale beside the estimate that was frozen before it, with what simple valuations said at that "
    "moment. New and late sales are entered once; before a collection's first scoring its walk-forward stands in.",
)
def estimate_ledger(assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.estimate_ledger` (one row per sale, appended)."""
    from ml.evaluation.estimate_ledger import TABLE, update_estimate_ledger

    with assay.lake.write("enter new sales into the ledger") as con:
        update = update_estimate_ledger(con, assay.horizon)
        columns = table_columns(con, TABLE)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": update.rows,
            "rows_written": update.live + update.walk_forward,
            "rows_live": update.live,
            "rows_walk_forward": update.walk_forward,
            "rows_corrected": update.removed,
            "seconds": update.seconds,
            **columns,
        }
    )


MONITORING_ASSETS = [estimate_ledger]
