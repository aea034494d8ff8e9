"""The code location: everything Dagster knows about Assay.

Here: one `build_defs(settings)` that the code location, the command line and the tests all use.
Loading must stay under six seconds: anything heavy is imported inside the function that needs it.
"""

from __future__ import annotations

import warnings

import dagster as dg

# Single-run backfill and pools are what 3,000 partitions need; both are marked beta at the pinned version.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from orchestration.checks.all_checks import CHECK_GROUPS  # noqa: E402
from orchestration.clock import WALL_CLOCK, Clock  # noqa: E402
from orchestration.features.assets import FEATURE_ASSETS, FEATURE_CHECKS  # noqa: E402
from orchestration.home import prepare_home  # noqa: E402
from orchestration.ingestion.assets import RAW_ASSETS, RAW_CHECKS  # noqa: E402
from orchestration.jobs import JOBS  # noqa: E402
from orchestration.maintenance.assets import lake_maintenance  # noqa: E402
from orchestration.marts.assets import build_marts, dbt_project  # noqa: E402
from orchestration.models.assets import MODEL_ASSETS  # noqa: E402
from orchestration.monitoring.assets import MONITORING_ASSETS  # noqa: E402
from orchestration.monitoring.drift_assets import DRIFT_ASSETS  # noqa: E402
from orchestration.output.progress import console_logger, progress_logger  # noqa: E402
from orchestration.output.terminal import tidy_logging  # noqa: E402
from orchestration.predictions.assets import PREDICTION_ASSETS, PREDICTION_CHECKS  # noqa: E402
from orchestration.resources import Assay, dbt_resource  # noqa: E402
from orchestration.schedules import build_schedules  # noqa: E402
from orchestration.sensors import build_sensors  # noqa: E402
from orchestration.settings import Settings, load_settings  # noqa: E402
from orchestration.slo.assets import SLO_ASSETS, with_freshness  # noqa: E402
from orchestration.tuning.assets import TUNING_ASSETS  # noqa: E402


def build_defs(settings: Settings, clock: Clock = WALL_CLOCK) -> dg.Definitions:
    """The asset graph, its jobs and automations, bound to one home and one clock."""
    return dg.Definitions(
        assets=with_freshness(
            [
                *RAW_ASSETS,
                build_marts(dbt_project()),
                *FEATURE_ASSETS,
                *MODEL_ASSETS,
                *TUNING_ASSETS,
                *PREDICTION_ASSETS,
                lake_maintenance,
                *SLO_ASSETS,
                *MONITORING_ASSETS,
                *DRIFT_ASSETS,
            ]
        ),
        asset_checks=[*RAW_CHECKS, *FEATURE_CHECKS, *PREDICTION_CHECKS, *CHECK_GROUPS],
        jobs=JOBS,
        schedules=build_schedules(enabled=settings.enable_schedules),
        sensors=build_sensors(enabled=settings.enable_schedules),
        resources={"assay": Assay(settings, clock), "dbt": dbt_resource(settings)},
        loggers={"console": console_logger, "progress": progress_logger},
        # One process per run: the simulator, CatBoost and the index are imported and warmed once.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads: the home that `ASSAY_*` names."""
    tidy_logging()
    settings = load_settings()
    prepare_home(settings)
    return build_defs(settings)
