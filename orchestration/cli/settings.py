"""`assay settings`: every setting. Here: printing. Not here: the settings (`orchestration.settings`)."""

from __future__ import annotations

from dataclasses import asdict

from orchestration.cli.options import AsJson, Home
from orchestration.effective_settings import effective_settings
from orchestration.output.tables import table_of
from orchestration.output.terminal import TerminalConsole, print_json


def settings(home: Home = None, as_json: AsJson = False) -> None:
    """Print every setting: its value in this home, where that comes from, and what it does.

    Secrets are shown as set or not set. Exit codes: 0 printed · 2 a setting is not allowed.
    """
    rows = effective_settings(home=home)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    console = TerminalConsole(width_of_files=140)
    columns = ("setting", "value", "from", "what")
    console.print(table_of("Settings", columns, [(r.name, r.value, r.origin, r.about) for r in rows]))
