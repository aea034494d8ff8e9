"""`assay replay`: quarantined rows, validated again. Here: options. Not here: the work (`reliability.replay`)."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.opened import open_home
from orchestration.cli.options import DataDir, Home, Source, pair
from orchestration.output.terminal import say


def replay(
    rename: Annotated[
        list[str] | None,
        typer.Option(help="old=new: the column `old` of the refused rows is the contract's `new`."),
    ] = None,
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Validate quarantined rows again with today's rules and let the good ones in."""
    opened = open_home(home, source, data_dir)
    renames = dict(pair("--rename", "old=new", text) for text in rename or [])
    from orchestration.reliability.replay import replay_quarantine
    from orchestration.resources import open_lake

    report = replay_quarantine(open_lake(opened), renames)
    say(f"replayed {report.replayed} rows; {report.still_open} stay in quarantine")
