"""`assay watchdog`: one round of the watchdog, for cron or systemd. Here: options, printing and the exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import complain, print_json, say
from orchestration.settings import load_settings


def watchdog(
    home: Home = None,
    expect_daemon: Annotated[
        bool | None,
        typer.Option(
            "--daemon/--no-daemon",
            help="Whether Dagster's daemon should be running. Default: if any sensor or schedule is switched on.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check from outside whether daemon, sensors, outbox, API, lake and disk work; alert if not.

    Exit codes: 0 all is well · 1 something is not, or the dead-man URL could not be reached · 2 wrong settings or
    no home.
    """
    settings = load_settings(home=home)
    from orchestration.alerts.configured_channels import open_channels
    from orchestration.alerts.watchdog import watch
    from orchestration.clock import WALL_CLOCK
    from orchestration.home import existing_home

    existing_home(settings)
    found = watch(settings, open_channels(settings), WALL_CLOCK.now(), expect_daemon=expect_daemon)
    if as_json:
        alerts = [
            {"key": a.key, "severity": a.severity, "title": a.title, "body": a.body, "runbook": a.runbook}
            for a in found.alerts
        ]
        print_json({"asked": found.asked, "alerts": alerts, "pinged": found.pinged})
    else:
        for alert in found.alerts:
            say(f"{alert.severity.upper()} {alert.title}\n  {alert.body}\n  docs/runbook/{alert.runbook}.md")
        if not found.alerts:
            say(f"all is well: {', '.join(found.asked)}")
    if found.pinged is False:
        complain("assay: the dead-man URL could not be reached")
    raise typer.Exit(1 if found.alerts or found.pinged is False else 0)
