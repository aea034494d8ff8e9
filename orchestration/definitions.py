"""The code location: Assay's Dagster definitions, bound to one home.

Here: `open_location` and `build_defs`, which `workspace.yaml`, the command line and the tests all use. Not here: what
there is (`orchestration.graph`). Loading must stay under four seconds: anything heavy is imported inside the function
that needs it.
"""

from __future__ import annotations

import warnings

import dagster as dg

# Single-run backfill and pools are what 3,000 partitions need; both are marked beta at the pinned version.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from lake.child_processes import end_with_parent  # noqa: E402
from orchestration.clock import WALL_CLOCK, Clock  # noqa: E402
from orchestration.code_location import CodeLocation  # noqa: E402
from orchestration.graph import JOBS, build_assets, build_checks, build_sensors  # noqa: E402
from orchestration.home import prepare_home  # noqa: E402
from orchestration.output.progress import console_logger, progress_logger  # noqa: E402
from orchestration.output.terminal import tidy_logging  # noqa: E402
from orchestration.resources import Assay  # noqa: E402
from orchestration.schedules import build_schedules  # noqa: E402
from orchestration.settings import Settings, load_settings  # noqa: E402


def open_location(
    settings: Settings, clock: Clock = WALL_CLOCK, *, launched_by: str = "Python"
) -> CodeLocation:
    """The code location of one home on one clock; its definitions are built when first asked for.

    Args:
        settings: The home.
        clock: The current time.
        launched_by: Who launches its runs, for people: a command.
    """
    return CodeLocation(Assay(settings, clock), _build, launched_by)


def build_defs(settings: Settings, clock: Clock = WALL_CLOCK) -> dg.Definitions:
    """The asset graph, its jobs and automations, bound to one home and one clock."""
    return open_location(settings, clock).definitions


def _build(location: CodeLocation) -> dg.Definitions:
    settings = location.assay.settings
    return dg.Definitions(
        assets=build_assets(),
        asset_checks=build_checks(),
        jobs=JOBS,
        schedules=build_schedules(enabled=settings.enable_schedules),
        sensors=build_sensors(enabled=settings.enable_schedules),
        resources={"assay": location.assay, "location": location},
        loggers={"console": console_logger, "progress": progress_logger},
        # One process per run: the simulator, CatBoost and the index are imported and warmed once.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads: the home that `ASSAY_*` names."""
    end_with_parent()  # a run's process is started by the code server
    tidy_logging()
    settings = load_settings()
    prepare_home(settings)
    return build_defs(settings)
