"""The asset `drift_scores`: every collection × feature against its own past, and pages about the worst.

Here: glue over `orchestration.monitoring.drift`. Not here: the statistics (`ml.drift`).
"""

import dagster as dg

from ml.drift.reports import DriftReport
from ml.text.visible import visible
from orchestration.conditions import WATCH_WHEN_VALUED
from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema, incident_counts
from orchestration.dagster_resources import AssayResource
from orchestration.monitoring.drift import find_drift
from orchestration.output.terminal import terminal_text


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["sale_features", "estimate_ledger"],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("monitoring.drift_scores"),
    description="Features, target, prediction and error of every collection and market: the newest window of sales "
    "against those before it. Each full window is scored once; monitoring.drift_status has the verdict per collection.",
)
def drift_scores(assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.drift_scores` (appended) and `monitoring.drift_status` (one row per collection)."""
    found, incidents = find_drift(assay)
    pages = {f"report {visible(r.collection)}": _page(r) for r in found.reports}
    return dg.MaterializeResult(
        metadata={
            "windows_scored": found.scored.collections,
            "tests": found.scored.tests,
            "collections_drifted": found.standing.collections,
            "markets_drifted": found.standing.markets,
            "seconds": found.scored.seconds,
            **incident_counts(incidents),
            **pages,
        }
    )


def _page(report: DriftReport) -> dg.MetadataValue:
    if report.problem is None:
        return dg.MetadataValue.path(str(report.path))
    return dg.MetadataValue.text(f"The page could not be made: {terminal_text(report.problem)}")


DRIFT_ASSETS = [drift_scores]
