"""`assay doctor`: every part of a home, examined. Here: options, printing and the exit code."""

from __future__ import annotations

from dataclasses import asdict

import typer

from orchestration.cli.options import AsJson, Home
from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, print_json
from orchestration.settings import load_settings


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Examine every part of a home: its files against their digests, models, store, disk, clock, permissions.

    Changes nothing but incidents. Exit codes: 0 all is well · 1 something is not · 2 wrong settings or no home.
    """
    settings = load_settings(home=home)
    from orchestration.home import existing_home
    from orchestration.reliability.doctor import examine
    from orchestration.resources import Assay

    existing_home(settings)
    found = examine(Assay(settings))
    if as_json:
        print_json({"parts": [asdict(one) for one in found]})
    else:
        console = TerminalConsole(width_of_files=120)
        rows = [("FOUND" if one.problems else "ok", one.part, one.result) for one in found]
        console.print(table_of("", ("state", "part", "what was found"), rows))
        for one in found:
            for problem in one.problems:
                console.print(f"{one.part}: {problem}")
            if one.advice:
                console.print(f"{one.part}: → {one.advice}")
    raise typer.Exit(1 if any(one.problems for one in found) else 0)
