"""The graph: every asset, check, job and sensor of the code location, subject by subject.

Here: the lists. Not here: binding them to a home (`orchestration.definitions`), or anything they do (the folders of
the subjects).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import dagster as dg

from orchestration.alerts.sensors import build_alert_sensors
from orchestration.checks.definition import Check
from orchestration.checks.factory import check_group
from orchestration.conditions import build_condition_sensor
from orchestration.features.assets import FEATURE_ASSETS
from orchestration.features.checks import FEATURES
from orchestration.ingestion.assets import RAW_ASSETS
from orchestration.ingestion.checks import RAW
from orchestration.ingestion.jobs import ingest
from orchestration.maintenance.assets import lake_maintenance
from orchestration.maintenance.jobs import maintain
from orchestration.maintenance.operations import operations
from orchestration.marts.assets import build_marts
from orchestration.marts.checks import MARTS
from orchestration.marts.jobs import build
from orchestration.marts.manifest import dbt_project
from orchestration.models.assets import MODEL_ASSETS
from orchestration.models.checks import MODELS
from orchestration.models.jobs import retrain_worklist, train
from orchestration.models.sensors import build_discovery_sensor
from orchestration.monitoring.assets import MONITORING_ASSETS
from orchestration.monitoring.checks import DRIFT
from orchestration.monitoring.drift_assets import DRIFT_ASSETS
from orchestration.monitoring.jobs import monitor
from orchestration.portfolio.assets import PORTFOLIO_ASSETS
from orchestration.portfolio.checks import PORTFOLIO
from orchestration.predictions.assets import PREDICTION_ASSETS
from orchestration.predictions.checks import PREDICTIONS
from orchestration.predictions.jobs import publish, score
from orchestration.reconciliation.assets import consistency
from orchestration.retraining.assets import RETRAINING_ASSETS
from orchestration.retraining.restoring import restore_champions
from orchestration.retraining.sensors import build_retraining_sensors
from orchestration.runs.jobs import everything, refresh
from orchestration.slo.assets import SLO_ASSETS, with_freshness
from orchestration.slo.checks import SERVICE_LEVELS
from orchestration.tuning.assets import TUNING_ASSETS
from orchestration.tuning.jobs import tune

CHECK_GROUPS: dict[str, tuple[Check, ...]] = {
    "checks_of_raw": RAW,
    "checks_of_marts": MARTS,
    "checks_of_features": FEATURES,
    "checks_of_models": MODELS,
    "checks_of_predictions": PREDICTIONS,
    "checks_of_portfolios": PORTFOLIO,
    # Apart, so that drift that fails keeps no check of a service level from being made.
    "checks_of_drift": DRIFT,
    "checks_of_service_levels": SERVICE_LEVELS,
}
"""Every declared check, by the op that makes them on one connection."""

JOBS: list[Any] = [
    ingest,
    build,
    train,
    score,
    retrain_worklist,
    restore_champions,
    everything,
    refresh,
    maintain,
    tune,
    monitor,
    publish,
]


@cache
def build_assets() -> list[Any]:
    """Every asset, with the freshness policies that SLOs give them. They know no home, so all homes share them."""
    return with_freshness(
        [
            *RAW_ASSETS,
            build_marts(dbt_project()),
            *FEATURE_ASSETS,
            *MODEL_ASSETS,
            *TUNING_ASSETS,
            *PREDICTION_ASSETS,
            *PORTFOLIO_ASSETS,
            lake_maintenance,
            consistency,
            operations,
            *SLO_ASSETS,
            *MONITORING_ASSETS,
            *RETRAINING_ASSETS,
            *DRIFT_ASSETS,
        ]
    )


@cache
def build_checks() -> list[dg.AssetChecksDefinition]:
    """Every check, a group per subject; shared like the assets."""
    return [check_group(name, checks) for name, checks in CHECK_GROUPS.items()]


def build_sensors(*, enabled: bool) -> list[dg.SensorDefinition]:
    """Every sensor, off unless enabled."""
    return [
        build_discovery_sensor(enabled=enabled),
        *build_retraining_sensors(enabled=enabled),
        *build_alert_sensors(enabled=enabled),
        build_condition_sensor(enabled=enabled),
    ]
