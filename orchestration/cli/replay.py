"""`assay replay`: quarantined rows, validated again. Here: options. Not here: the work (`reliability.replay`)."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.opened import open_home
from orchestration.cli.options import DataDir, Home, Source
from orchestration.output.terminal import say
from orchestration.settings import SettingsError


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
    renames = dict(_pair(text) for text in rename or [])
    from orchestration.reliability.replay import replay_quarantine
    from orchestration.resources import open_lake

    report = replay_quarantine(open_lake(opened), renames)
    say(f"replayed {report.replayed} rows; {report.still_open} stay in quarantine")


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise SettingsError(f"--rename expects old=new, found {text!r}")
    return old, new
