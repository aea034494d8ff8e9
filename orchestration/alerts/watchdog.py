"""The watchdog: checks from outside whether monitoring still works, and alerts without its help.

Here: one round: ask (`orchestration.alerts.health`), alert, ping the dead-man URL. Not here: when it runs (cron or
systemd, docs/how-to/watch-the-watchers.md). It needs neither the daemon nor the lake, and when the outbox itself is
broken it sends directly. A machine that is off can only be noticed from outside: that is what the dead-man URL is for.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.storage import write_whole
from orchestration.alerts import health
from orchestration.alerts.channels import Channel, Message, endpoints
from orchestration.alerts.delivery import deliver
from orchestration.alerts.errors import OutboxError
from orchestration.alerts.outbox import Alert, sync_alerts
from orchestration.alerts.policy import policy_of
from orchestration.alerts.store import Outbox, stamp
from orchestration.home import api_watch, open_instance
from orchestration.states import NoticeKind, SendResult, Severity

if TYPE_CHECKING:
    from orchestration.settings import Settings

MEMORY_FILE = "watchdog.json"
PING_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Round:
    """What one round found.

    Attributes:
        asked: What was examined, in words.
        alerts: What is wrong now.
        pinged: Whether the dead-man URL was called; None: there is none, or something is wrong.
    """

    asked: tuple[str, ...]
    alerts: tuple[Alert, ...]
    pinged: bool | None


def watch(
    settings: Settings,
    channels: Sequence[Channel],
    now: datetime,
    *,
    expect_daemon: bool | None = None,
    limits: health.HealthLimits | None = None,
) -> Round:
    """Examine everything, alert what is wrong or well again, and ping the dead-man URL when all is well.

    Args:
        settings: The home.
        channels: Where alerts go.
        now: Wall-clock time, naive UTC.
        expect_daemon: Whether the daemon should run; None: if schedules are enabled in the settings, or any sensor
            or schedule of the home is switched on.
        limits: What counts as a failure.
    """
    bounds = limits or health.HealthLimits()
    asked, alerts = ["disk", "lake", "API"], health.full_disk(settings.home_path, bounds)
    alerts += health.unreadable_lake(settings.lake_config(), bounds)
    alerts += health.unanswering_api(api_watch(settings, now), bounds)
    try:
        outbox = Outbox.of(settings.home_path)
        more, found = _ask_dagster(settings, outbox, now, expect_daemon, bounds)
        asked, alerts = [*asked, *more, "delivery"], alerts + found
        # Before asking whether messages wait, do what the daemon would have done.
        deliver(outbox, channels, now, policy_of(settings))
        alerts += health.undelivered(outbox, endpoints(channels), now, bounds)
        sync_alerts(outbox, health.SCOPE, alerts, now)
        deliver(outbox, channels, now, policy_of(settings))
        _send_directly(settings, channels, None, now)
    except OutboxError as error:
        full = [alert for alert in alerts if alert.key == health.DISK_KEY]
        # A full disk explains the outbox, and is what has to be ended.
        alerts += [] if full else [_broken_outbox(error)]
        _send_directly(settings, channels, full[0] if full else alerts[-1], now)
    pinged = (
        None if alerts or settings.deadman_url is None else _ping(settings.deadman_url.get_secret_value())
    )
    return Round(tuple(asked), tuple(alerts), pinged)


def _ask_dagster(
    settings: Settings, outbox: Outbox, now: datetime, expect_daemon: bool | None, limits: health.HealthLimits
) -> tuple[list[str], list[Alert]]:
    asked, alerts = ["runs"], list[Alert]()

    def ask() -> None:
        with open_instance(settings) as instance:
            alerts.extend(health.stuck_runs(instance, now, limits))
            expected = expect_daemon
            if expected is None:
                expected = settings.enable_schedules or health.daemon_expected(instance)
            if expected:
                asked.extend(["daemon", "sensors and schedules"])
                stopped = health.stopped_daemon(instance, now, limits)
                # Without the daemon none of them runs: one message says it.
                alerts.extend(stopped or health.stopped_automations(instance, outbox, now, limits))

    problem = _problem(ask)
    damaged = health.damaged_history(settings.home_path)
    alerts += damaged
    if problem is not None and not damaged:
        alerts.append(
            Alert(
                key=f"{health.SCOPE}/storage",
                severity=Severity.PAGE,
                title="Dagster's storage cannot be read",
                body=problem,
                runbook="daemon-dead",
                command="assay watchdog",
            )
        )
    return asked, alerts


def _problem(ask: Callable[[], None]) -> str | None:
    """What Dagster's storage raised. An OutboxError is not about it and goes on."""
    try:
        ask()
    except OutboxError:
        raise
    except Exception as error:  # noqa: BLE001 - a storage that cannot be read is a finding, not the end of the round
        return f"{type(error).__name__}: {str(error)[:500]}"
    return None


def _broken_outbox(error: OutboxError) -> Alert:
    return Alert(
        key=f"{health.SCOPE}/outbox",
        severity=Severity.PAGE,
        title="The alert outbox is broken: no alert can be kept",
        body=str(error),
        runbook="alert-delivery-dead",
        command="assay watchdog",
    )


_ABOUT = ("key", "title", "runbook")
"""What of an alert is remembered, to report its end."""


def _send_directly(
    settings: Settings, channels: Sequence[Channel], alert: Alert | None, now: datetime
) -> None:
    """Alert without the outbox that it is broken, and once that it works again.

    Which endpoint got the message when is kept in a small file, so that a watchdog that runs every five minutes does
    not repeat it every five minutes; it is repeated as often as any other page.
    """
    memory = _remembered(settings)
    if alert is None and memory is None:
        return
    every = policy_of(settings).reminder_every[Severity.PAGE].total_seconds()
    sent_at: dict[str, str] = {} if memory is None else memory.get("sent_at", {})
    since = stamp(now) if memory is None else memory["since"]
    for channel in channels:
        last = sent_at.get(channel.endpoint)
        if alert is not None:
            if last and (now - datetime.fromisoformat(last)).total_seconds() < every:
                continue
            message = _direct(alert, NoticeKind.REMINDER if last else NoticeKind.OPENED, since, now, channel)
        elif last:
            restored = replace(
                _broken_outbox(OutboxError("It works again.")), **(memory or {}).get("about", {})
            )
            message = _direct(restored, NoticeKind.RESOLVED, since, now, channel)
        else:
            continue
        if channel.send(message, is_repeat=False).result == SendResult.SENT:
            sent_at[channel.endpoint] = stamp(now)
            if alert is None:
                del sent_at[channel.endpoint]
    if alert is None and not sent_at:
        for path in _memories(settings):
            path.unlink(missing_ok=True)
        return
    about = {name: str(getattr(alert, name)) for name in _ABOUT} if alert else (memory or {}).get("about")
    _remember(settings, {"since": since, "sent_at": sent_at, "about": about or {}})


def _memories(settings: Settings) -> tuple[Path, Path]:
    """Where the memory may be: in the home, or, while its disk takes nothing, where temporary files are."""
    home = settings.home_path
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return home / MEMORY_FILE, Path(tempfile.gettempdir()) / f"assay-{os.getuid()}-{name}-{MEMORY_FILE}"


def _remembered(settings: Settings) -> dict[str, Any] | None:
    for path in _memories(settings):
        try:
            # Where temporary files are, everybody may make a file of that name.
            if path.lstat().st_uid != os.getuid():
                continue
            memory = dict(json.loads(path.read_text()))
            about = {key: str(memory["about"][key]) for key in _ABOUT if key in memory["about"]}
            return {"since": str(memory["since"]), "sent_at": dict(memory["sent_at"]), "about": about}
        except (OSError, ValueError, TypeError, KeyError):
            # Missing, or half a file that an older version left: the message is sent once more.
            continue
    return None


def _remember(settings: Settings, memory: dict[str, Any]) -> None:
    in_home, elsewhere = _memories(settings)
    # Half a file, left by a kill or a full disk, would stop every round after it.
    try:
        write_whole(in_home, json.dumps(memory))
    except OSError:
        # Where neither can be written the message is sent at each round: better than a watchdog that has ended.
        with suppress(OSError):
            write_whole(elsewhere, json.dumps(memory), 0o600)


def _direct(alert: Alert, kind: NoticeKind, since: str, now: datetime, channel: Channel) -> Message:
    incident = hashlib.sha256(f"{alert.key} {since}".encode()).hexdigest()[:16]
    moment = "" if kind != NoticeKind.REMINDER else stamp(now)
    digest = hashlib.sha256(f"{incident} {kind} {moment}".encode()).hexdigest()[:16]
    return Message(
        delivery_id=f"{digest}-{channel.endpoint}",
        incident=incident,
        kind=kind,
        severity=alert.severity,
        title=alert.title,
        body=alert.body,
        runbook=f"docs/runbook/{alert.runbook}.md",
        command=alert.command,
        keys=(alert.key,),
        created_at=stamp(now),
    )


def _ping(url: str) -> bool:
    import requests

    try:
        return requests.get(url, timeout=PING_TIMEOUT_S).ok
    except requests.RequestException:
        return False
