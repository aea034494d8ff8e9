"""`assay backtest`: test the estimates on the past, one ledger row per sale.

Here: options and messages. Not here: any work (`orchestration.runs.backtest`), or the report
(`orchestration.cli.report`).
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ml.text.times import utc_minute
from orchestration.cli.opened import covers, known_collections, require_folder_for, require_window
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.clock import naive_utc
from orchestration.output.commands import assay_command
from orchestration.output.terminal import print_json, say, styled
from orchestration.settings import SettingsError, load_settings

_DAYS_PER_UNIT = {"h": 1 / 24, "d": 1.0, "w": 7.0}


def backtest(
    start: Annotated[datetime, typer.Option("--from", help="Start of the window, UTC.")],
    end: Annotated[
        datetime, typer.Option("--to", help="End of the window, UTC; what became known later is ignored.")
    ],
    out: Annotated[Path, typer.Option(help="Parquet file of the ledger, one row per sale.")],
    source: Source = None,
    data_dir: DataDir = None,
    home: Home = None,
    refit_every: Annotated[str, typer.Option(help="Time between refits, as in 30d, 2w or 12h.")] = "30d",
    collections: Annotated[
        list[str] | None,
        typer.Option(help="Price these only, a,b or the option repeated; models learn from all either way."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk forward through the past with the production code and report the error of every estimate."""
    start, end = naive_utc(start), naive_utc(end)
    if start >= end:
        raise SettingsError(f"--from must be before --to, found {utc_minute(start)} and {utc_minute(end)}")
    if data_dir is not None and not data_dir.is_dir():
        raise SettingsError(f"--data-dir: expected a folder of market data, found nothing at {data_dir}")
    days = _days(refit_every)
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from orchestration.home import open_instance, prepare_home

    names = [name.strip() for given in collections or [] for name in given.split(",") if name.strip()]
    require_folder_for(out, "--out")
    prepare_home(settings)
    require_window(settings, start, end)
    if names and covers(settings, end):
        # Otherwise the backtest builds first: it refuses a wrong name then.
        names = known_collections(settings, names)
    # What is asked wrongly is refused before Dagster is imported, which takes seconds.
    from orchestration.definitions import open_location
    from orchestration.output.progress import ProgressPrinter
    from orchestration.runs.backtest import BacktestRequest, run_backtest

    with ProgressPrinter() as printer, open_instance(settings) as instance:
        printer.say(
            styled(
                ("backtest", "bold"),
                f" {utc_minute(start)} to {utc_minute(end)}, refits every {refit_every} · home {settings.home_path}",
            )
        )
        location = open_location(settings.model_copy(update={"as_of": end}), launched_by="assay backtest")
        ledger = run_backtest(
            location, instance, BacktestRequest(start, end, days, names, out), say=printer.say
        )
    _print(ledger, as_json)


def _print(ledger: Path, as_json: bool) -> None:
    """The accuracy report of the ledger, from the same function as `assay report`."""
    from ml.accuracy import accuracy_of
    from orchestration.cli.report import print_accuracy

    document = accuracy_of(ledger)
    if as_json:
        print_json({"ledger": str(ledger), "accuracy": document})
        return
    print_accuracy(document)
    say(f"\nLedger: {ledger} · pages and plots: {assay_command('report', str(ledger))}")


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text.strip())
    days = float(found[1]) * _DAYS_PER_UNIT[found[2]] if found else 0.0
    if days <= 0:
        raise SettingsError(f"--refit-every expects a positive time such as 30d, 2w or 12h, found {text!r}")
    return days
