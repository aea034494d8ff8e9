"""Group monitoring: the errors of the system's own estimates.

Here: glue over `orchestration.monitoring.online_error`. Not here: drift (`orchestration.monitoring.drift_assets`),
SLOs (`orchestration.slo`), or any figure.
"""

import dagster as dg

from ml.text.markdown import markdown_text
from orchestration.conditions import WATCH_WHEN_VALUED
from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema
from orchestration.dagster_resources import AssayResource
from orchestration.monitoring.online_error import enter_sales, judge_errors
from orchestration.output import plots


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["fct_sales", "fct_listings", "pooled_prior", "token_estimates"],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("monitoring.estimate_ledger"),
    description="Every sale with the estimate that was frozen before it, and with simple valuations of the same "
    "time. New and late sales are entered once; before a collection's first scoring its walk-forward estimate is used.",
)
def estimate_ledger(assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.estimate_ledger` (one row per sale, appended)."""
    update = enter_sales(assay)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": update.rows,
            "rows_written": update.live + update.walk_forward,
            "rows_live": update.live,
            "rows_walk_forward": update.walk_forward,
            "rows_corrected": update.removed,
            "seconds": update.seconds,
        }
    )


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["estimate_ledger"],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("monitoring.online_metrics"),
    description="Rolling error of each collection and of all with its noise, held against its own past and against the "
    "median of five; trend over weeks; and how many models err how much, week by week (monitoring.mape_buckets).",
)
def online_metrics(assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.online_metrics` (one row per collection and window) and `monitoring.mape_buckets`."""
    update = judge_errors(assay)
    with assay.lake.read() as con:
        return dg.MaterializeResult(
            metadata={
                "rows_written": update.rows_written,
                "collections": update.collections,
                "collections_degraded": len(update.degraded),
                "degraded": dg.MetadataValue.md(
                    "\n".join(f"- {markdown_text(name)}" for name in update.degraded[:50]) or "none"
                ),
                "too_few_sales": update.too_few,
                **({} if update.overall is None else {"mdape": update.overall}),
                "seconds": update.seconds,
                "models_by_error": plots.drawn("Models by error", lambda: plots.bucket_plot(con)),
            }
        )


MONITORING_ASSETS = [estimate_ledger, online_metrics]
