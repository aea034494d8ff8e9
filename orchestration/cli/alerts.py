"""`assay alerts`: show the outbox, deliver it, try the endpoints. Here: options and printing."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.storage import sql_list
from ml.text.times import utc_minute
from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import print_json, say
from orchestration.settings import load_settings
from orchestration.states import UNDELIVERED, DeliveryState, IncidentState, SendResult, Severity

if TYPE_CHECKING:
    import sqlite3

    from orchestration.alerts.store import Outbox

_TIMES = ("first_seen", "last_seen", "last_sent_at")


class Action(StrEnum):
    """What to do with the outbox."""

    list = "list"
    deliver = "deliver"
    test = "test"


def alerts(
    action: Annotated[
        Action,
        typer.Argument(help="list: what is open and on its way; deliver: one pass; test: a message to all."),
    ] = Action.list,
    home: Home = None,
    retry_dead: Annotated[
        bool, typer.Option(help="deliver: send again what was given up, after an endpoint was repaired.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the alerts of a home, deliver what is due, or try every endpoint.

    Exit codes: 0 done · 1 a message could not be sent · 2 wrong settings, no home or a broken outbox.
    """
    settings = load_settings(home=home)
    from orchestration.alerts.configured_channels import open_channels
    from orchestration.alerts.delivery import deliver
    from orchestration.alerts.delivery import retry_dead as retry_dead_letters
    from orchestration.alerts.policy import policy_of
    from orchestration.alerts.store import Outbox
    from orchestration.clock import WALL_CLOCK
    from orchestration.home import existing_home

    existing_home(settings)
    channels, now = open_channels(settings), WALL_CLOCK.now()
    if action is Action.test:
        from orchestration.alerts.trial import send_trial

        outcomes = send_trial(channels, now)
        for label, outcome in outcomes.items():
            say(f"{label}: {outcome.result}{f' ({outcome.detail})' if outcome.detail else ''}")
        raise typer.Exit(0 if all(outcome.result == SendResult.SENT for outcome in outcomes.values()) else 1)
    outbox = Outbox.of(settings.home_path)
    if action is Action.list:
        _list(outbox, as_json=as_json)
        return
    if retry_dead:
        say(f"{retry_dead_letters(outbox, now)} message(s) have their attempts back")
    report = deliver(outbox, channels, now, policy_of(settings))
    say(f"sent {report.sent}, failed {report.failed}, given up {report.given_up}")
    raise typer.Exit(1 if report.failed else 0)


def _list(outbox: Outbox, *, as_json: bool) -> None:
    from orchestration.alerts.store import parse_stamp

    by_time = outbox.rows(
        "select key, severity, title, body, runbook, command, first_seen, last_seen, occurrences from incidents "
        f"where state = '{IncidentState.OPEN}' order by first_seen"
    )
    incidents = sorted(by_time, key=lambda row: Severity(row["severity"]).urgency)
    endpoints = outbox.rows(
        "select e.label, e.last_error, e.last_sent_at, "
        f"sum(coalesce(d.state in {sql_list(UNDELIVERED)}, 0)) as waiting, "
        f"sum(coalesce(d.state = '{DeliveryState.DEAD}', 0)) as dead "
        "from endpoints e left join deliveries d using (endpoint) group by e.endpoint order by e.label"
    )
    if as_json:
        print_json({"open": _with_times(incidents), "endpoints": _with_times(endpoints)})
        return
    if not incidents:
        say("no open incident")
    for row in incidents:
        since = utc_minute(parse_stamp(row["first_seen"]))
        say(
            f"{row['severity'].upper():<6} {row['title']}  ({row['key']}, since {since}, "
            f"found {row['occurrences']}×)\n       {row['command']} · docs/runbook/{row['runbook']}.md"
        )
    for row in endpoints:
        error = f", last error {row['last_error']}" if row["last_error"] else ""
        say(f"{row['label']}: {row['waiting']} waiting, {row['dead']} given up{error}")


def _with_times(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """Rows of the outbox, which keeps times as text, with their times as times."""
    from orchestration.alerts.store import parse_stamp

    return [
        {name: parse_stamp(value) if name in _TIMES and value else value for name, value in dict(row).items()}
        for row in rows
    ]
