"""`assay run`: the main job. Here: options. Not here: the job (`orchestration.runs.main_job`)."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated

import psutil
import typer

from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.output.terminal import print_json, styled
from orchestration.settings import load_settings


def run(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    collections: Annotated[
        int | None, typer.Option(help="Simulator: collections [ASSAY_COLLECTIONS].")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Simulator: days of history [ASSAY_DAYS].")] = None,
    seed: Annotated[int | None, typer.Option(help="Simulator: seed [ASSAY_SEED].")] = None,
    faults: Annotated[
        str | None, typer.Option(help="Simulator: faults, e.g. crash@300 [ASSAY_FAULTS].")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Value as of this UTC time; ignore what became known later [ASSAY_AS_OF]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do the main job: ingest, build, train what is due, value every token. Running it again continues."""
    settings = load_settings(
        home=home,
        source=source,
        data_dir=data_dir,
        collections=collections,
        days=days,
        seed=seed,
        faults=faults,
        as_of=as_of,
    )
    from orchestration.home import open_instance, prepare_home
    from orchestration.resources import Assay
    from orchestration.runs.as_of import refuse_to_go_back

    # What is asked wrongly is refused before Dagster is imported, which takes seconds.
    prepare_home(settings)
    if settings.lake_config().may_exist:
        assay = Assay(settings)
        refuse_to_go_back(assay, assay.as_of)
    from orchestration.cli.render.run_report import print_summary
    from orchestration.definitions import open_location
    from orchestration.output.progress import ProgressPrinter
    from orchestration.runs.main_job import run_everything

    with ProgressPrinter() as printer, open_instance(settings) as instance:
        printer.say(styled(("assay", "bold"), f" · {settings.described_sources} · home {settings.home_path}"))
        summary = run_everything(open_location(settings, launched_by="assay run"), instance, say=printer.say)
    # What a user waits for: the stages, starting Python and Dagster before them, and the runs around them.
    summary.seconds = round(time.time() - psutil.Process().create_time(), 1)
    if as_json:
        print_json(summary.to_json())
    else:
        print_summary(summary)
