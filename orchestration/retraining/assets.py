"""The asset `retrain_queue`: which collections need a training. Here: glue over `queueing`."""

from dataclasses import asdict

import dagster as dg

from orchestration.conditions import WATCH_WHEN_VALUED
from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema, incident_counts
from orchestration.dagster_resources import AssayResource
from orchestration.retraining.queueing import queue_work


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["online_metrics", "drift_scores", "slo_status", "price_models", "token_estimates"],
    owners=MODEL_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("ops.retrain_queue"),
    description="Collections that need a training, by value at stake times degradation, and their state; the "
    "effect of earlier decisions (ops.decision_effects); and incidents about models.",
)
def retrain_queue(context: dg.AssetExecutionContext, assay: AssayResource) -> dg.MaterializeResult:
    """`ops.retrain_queue` (one row per collection) and `ops.decision_effects` (appended); incidents in the outbox."""
    queue, effects, incidents = queue_work(assay, context.instance)
    return dg.MaterializeResult(
        metadata={
            **{name: len(n) if isinstance(n, tuple) else n for name, n in asdict(queue).items()},
            "most_valuable": ", ".join(queue.queued[:10]) or "none",
            "effects_measured": effects,
            **incident_counts(incidents),
        }
    )


RETRAINING_ASSETS = [retrain_queue]
