"""`assay retrain`: train what is listed. Here: options. Not here: the work (`orchestration.runs.main_job`)."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.opened import known_collections, open_home
from orchestration.cli.options import DataDir, Home, Source
from orchestration.output.terminal import say


def retrain(
    collections: Annotated[list[str], typer.Argument(help="Collections to train, in any order.")],
    reason: Annotated[str, typer.Option(help="Why; shown with the run.")],
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Train the listed collections in one run (the job retrain_worklist)."""
    opened = open_home(home, source, data_dir)
    collections = known_collections(opened, collections)
    # A wrong name is refused before Dagster is imported, which takes seconds.
    from orchestration.definitions import open_location
    from orchestration.home import open_instance
    from orchestration.output.progress import ProgressPrinter
    from orchestration.runs.main_job import retrain_collections

    with ProgressPrinter() as printer, open_instance(opened) as instance:
        counts, seconds = retrain_collections(
            open_location(opened, launched_by="assay retrain"), instance, collections, reason, say=printer.say
        )
    shown = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
    say(f"{len(collections)} collections: {shown or 'nothing to do'}")
    say(f"training took {seconds:.2f} s")
