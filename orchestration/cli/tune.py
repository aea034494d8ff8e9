"""`assay tune`: search settings under a budget.

Here: options and output. Not here: the work (`orchestration.tuning.study`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.opened import open_home, require_markets
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.output.terminal import print_json, say, styled


def tune(
    budget: Annotated[
        str | None, typer.Option(help="Longest duration, e.g. 90s, 10m, 1h [ASSAY_TUNING_BUDGET_S].")
    ] = None,
    scope: Annotated[str, typer.Option(help="pooled, collections or all.")] = "all",
    market: Annotated[list[str] | None, typer.Option(help="Only this market; may be repeated.")] = None,
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search model settings; adopt those that win on sales later than the ones searched on (the job tune)."""
    from orchestration.tuning.budget import level_of, seconds_of

    settings = open_home(home, source, data_dir)
    level, seconds = level_of(scope), seconds_of(budget) if budget else settings.tuning_budget_s
    require_markets(settings, market or [])
    # What is asked wrongly is refused before Dagster is imported, which takes seconds.
    from orchestration.definitions import open_location
    from orchestration.home import open_instance
    from orchestration.output.progress import ProgressPrinter
    from orchestration.tuning.study import tune_in_a_run

    with ProgressPrinter() as printer, open_instance(settings) as instance:
        about = f" · {level} · up to {seconds:.0f} s · home {settings.home_path}"
        printer.say(styled(("assay tune", "bold"), about))
        verdicts = tune_in_a_run(
            open_location(settings, launched_by="assay tune"), instance, level, seconds, market or []
        )
    if as_json:
        print_json(verdicts)
        return
    for row in verdicts:
        state = {True: "adopted", False: "not adopted", None: "no verdict"}[row["adopted"]]
        say(f"{row['kind']} {visible(row['scope'])}: {state} after {row['trials']} trials: {row['reason']}")
    if not verdicts:
        say("nothing is worth a study now")
