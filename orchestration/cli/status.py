"""`assay status`: the service levels. Here: options, exit code. Not here: the work (`orchestration.slo.report`)."""

from __future__ import annotations

import typer

from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.output.terminal import print_json
from orchestration.settings import load_settings


def status(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show every service level: promised, measured, error budget, burn rate, state. Exit code 1 when one pages."""
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from orchestration.home import existing_home
    from orchestration.resources import Assay
    from orchestration.slo.report import print_status, read_status

    existing_home(settings)
    found = read_status(Assay(settings))
    if as_json:
        print_json(found.to_json())
    else:
        print_status(found)
    if found.pages:
        raise typer.Exit(1)
