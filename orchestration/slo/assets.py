"""The asset `slo_status`: one evaluation of every SLO, and freshness policies on the assets that they name.

Here: glue over `orchestration.slo`. Not here: what is promised (`slos.yaml`).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from ml.text.times import utc_minute
from orchestration.conditions import WATCH_WHEN_VALUED
from orchestration.conventions import DATA_TEAM, LAKE_WRITER, column_schema, incident_counts
from orchestration.dagster_resources import AssayResource
from orchestration.slo.definitions import Slo, load_slos
from orchestration.slo.evaluation import Status
from orchestration.slo.watch import measure_service_levels

Asset = dg.AssetsDefinition | dg.AssetSpec
SLOS = load_slos()


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["raw_sales", "fct_sales", "token_features", "token_estimates", "estimate_ledger"],
    owners=DATA_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("monitoring.slo_status"),
    description="Every SLO of orchestration/slos.yaml: indicator, error budget left, burn rates, time to exhaustion and"
    " state. Each evaluation is a row of monitoring.slo_samples. `assay status` prints it.",
)
def slo_status(context: dg.AssetExecutionContext, assay: AssayResource) -> dg.MaterializeResult:
    """`monitoring.slo_status` (one row per SLO, replaced) and `monitoring.slo_samples` (appended)."""
    statuses, incidents = measure_service_levels(assay, context.instance)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(statuses),
            "as_of": utc_minute(assay.as_of),
            **_states(statuses),
            **incident_counts(incidents),
        }
    )


def _states(statuses: Iterable[Status]) -> dict[str, Any]:
    states = [status.state for status in statuses]
    return {f"slos_{state}": states.count(state) for state in sorted(set(states))}


def with_freshness(assets: Sequence[Any], slos: Sequence[Slo] = SLOS) -> list[Any]:
    """The same assets, with a FreshnessPolicy where an SLO names them: the UI shows what the SLO promises.

    Dagster's policy measures wall-clock time since the last materialization; the SLO measures data time. An asset that
    nothing materializes fails the first, data that do not come fail the second.
    """
    policies = {
        dg.AssetKey(asset): dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=slo.materialized.fail_after_h),
            warn_window=timedelta(hours=slo.materialized.warn_after_h),
        )
        for slo in slos
        if slo.materialized
        for asset in slo.materialized.assets
    }

    def fresh(spec: dg.AssetSpec) -> dg.AssetSpec:
        policy = policies.get(spec.key)
        return dg.apply_freshness_policy(spec, policy) if policy else spec

    return list(dg.map_asset_specs(fresh, assets))


SLO_ASSETS = [slo_status]
