"""`assay status`: are the promises kept? Here: options and the exit code. Not here: the work (`slo/report.py`)."""

from __future__ import annotations

import json
import sys

import typer

from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.errors import HomeError
from orchestration.settings import load_settings


def status(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show every service level: promised, measured, error budget, burn rate, state. Exit code 1 when one pages."""
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    if not (settings.home_path / "lake").exists():
        raise HomeError(
            f"expected a home with a lake, found none in {settings.home_path}; `assay run` makes one"
        )
    from orchestration.home import open_instance, prepare_home
    from orchestration.resources import Assay
    from orchestration.slo.report import print_status, read_status

    prepare_home(settings)
    with open_instance(settings) as instance:
        found = read_status(Assay(settings), instance)
    if as_json:
        json.dump(found.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print_status(found)
    if found.pages:
        raise typer.Exit(1)
