"""The asset `slo_status`: one evaluation of every SLO, a check per SLO, and freshness policies on the assets they name.

Here: glue over `orchestration.slo`. Not here: what is promised (`slos.yaml`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from orchestration.conditions import WATCH_WHEN_VALUED
from orchestration.conventions import DATA_TEAM, LAKE_WRITER, column_schema, incident_counts
from orchestration.resources import AssayResource
from orchestration.slo.definitions import Slo, load_slos
from orchestration.slo.evaluation import Status
from orchestration.slo.tables import status_table
from orchestration.slo.watch import ALERTING, measure_service_levels

Asset = dg.AssetsDefinition | dg.AssetSpec
SLOS = load_slos()


def check_spec(slo: Slo) -> dg.AssetCheckSpec:
    """The check that enforces one SLO."""
    return dg.AssetCheckSpec(
        name=slo.name,
        asset="slo_status",
        description=f"{slo.description} Severity {slo.severity}; objective {slo.objective:g} over "
        f"{slo.window_days:g} days. What to do: docs/runbook/{slo.runbook}.md",
        metadata={
            "severity": slo.severity,
            "owner": slo.owner,
            "runbook": f"docs/runbook/{slo.runbook}.md",
            "what_to_do": slo.command,
        },
    )


@dg.asset(
    group_name="monitoring",
    automation_condition=WATCH_WHEN_VALUED,
    deps=["raw_sales", "fct_sales", "token_features", "token_estimates", "estimate_ledger"],
    owners=DATA_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    check_specs=[check_spec(slo) for slo in SLOS],
    metadata=column_schema("monitoring.slo_status"),
    description="Every SLO of orchestration/slos.yaml: indicator, error budget left, burn rates, time to exhaustion and"
    " state. Each evaluation is a row of monitoring.slo_samples. `assay status` prints it.",
)
def slo_status(context: dg.AssetExecutionContext, assay: AssayResource) -> Iterator[Any]:
    """`monitoring.slo_status` (one row per SLO, replaced) and `monitoring.slo_samples` (appended)."""
    statuses, incidents = measure_service_levels(assay, context.instance)
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(statuses),
            "market_time": str(assay.as_of),
            **_states(statuses),
            **incident_counts(incidents),
        }
    )
    for status in statuses:
        yield check_result(status)


def check_result(status: Status) -> dg.AssetCheckResult:
    """A check fails while its SLO burns enough to alert; no data is not a failure, and says so."""
    told = status_table([status]).to_pylist()[0]
    severe = status.slo.severity == "page"
    return dg.AssetCheckResult(
        check_name=status.slo.name,
        passed=status.state not in ALERTING,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=f"{status.state}: {status.sample.note or status.slo.description}",
        metadata={
            **{name: value for name, value in told.items() if isinstance(value, str | float)},
            "runbook": f"docs/runbook/{status.slo.runbook}.md",
            "what_to_do": status.slo.command,
        },
    )


def _states(statuses: Iterable[Status]) -> dict[str, Any]:
    states = [status.state for status in statuses]
    return {f"slos_{state}": states.count(state) for state in sorted(set(states))}


def with_freshness(assets: Sequence[Any], slos: Sequence[Slo] = SLOS) -> list[Any]:
    """The same assets, with a FreshnessPolicy where an SLO names them: the UI shows what the SLO promises.

    Dagster's policy knows wall-clock time since the last materialization; the SLO knows market time. An asset that
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
