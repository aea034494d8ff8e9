"""The worst case of a message: its endpoint is down for an hour, and then its sender is killed too early.

Here: an hour of refused attempts, a deliverer that is killed after its message has arrived and before it can record
that, and the deliverer after it. Not here: delivery itself (`orchestration.alerts.delivery`).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lake.child_processes import end_with_input, start_child
from lake.storage import sql_list
from orchestration.states import UNDELIVERED

if TYPE_CHECKING:
    from orchestration.reliability.drills.endpoint import Receiver
    from orchestration.settings import Settings

DOWN_FOR = timedelta(hours=1)
TRY_EVERY = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=30)
"""After the endpoint is back: the longest backoff (15 minutes) and the killed deliverer's lease (2 minutes) fit."""


@dataclass(frozen=True)
class OutageResult:
    """The result of the outage for the message.

    Attributes:
        until: When it was recorded as sent (the drill's clock).
        what: For the timeline.
        expectation: What had to hold, and what was found.
        held: Whether it did.
    """

    until: datetime
    what: str
    expectation: tuple[str, str]
    held: bool


def endpoint_fails_and_deliverer_is_killed(
    settings: Settings, receiver: Receiver, start: datetime
) -> OutageResult:
    """Run the hour, the kill and the recovery, from the first refused attempt at `start` on."""
    from orchestration.alerts.configured_channels import open_channels
    from orchestration.alerts.delivery import deliver
    from orchestration.alerts.policy import policy_of
    from orchestration.alerts.store import Outbox

    outbox, channels, policy = Outbox.of(settings.home_path), open_channels(settings), policy_of(settings)
    receiver.is_down = True
    at = start
    while at < start + DOWN_FOR:
        at += TRY_EVERY
        deliver(outbox, channels, at, policy)
    refused = receiver.refused
    receiver.is_down = False
    at, code = _first_deliverer_is_killed(settings, receiver, at)
    arrived = len(receiver.messages)
    waiting = _waiting(outbox)
    while _waiting(outbox) and at < start + DOWN_FOR + LONGEST_WAIT:
        at += TRY_EVERY
        deliver(outbox, channels, at, policy)
    repeats = len(receiver.arrivals) - len(receiver.messages)
    return OutageResult(
        until=at,
        what=f"{refused} attempts refused in an hour; the first deliverer after it was killed with {arrived} "
        f"message(s) arrived and none recorded; the next sent again under the same id ({repeats} repeat, "
        f"{len(receiver.messages)} message(s) in all)",
        expectation=(
            "a deliverer is killed between sending and recording, and the message arrives under one id",
            f"exit {code}, {waiting} unrecorded then, {_waiting(outbox)} waiting now, {repeats} repeat",
        ),
        held=code == -signal.SIGKILL
        and waiting > 0
        and not _waiting(outbox)
        and refused > 0
        and repeats == 1,
    )


def _first_deliverer_is_killed(
    settings: Settings, receiver: Receiver, at: datetime
) -> tuple[datetime, int | None]:
    """Start deliverers, a minute of the drill's clock apart, until one has sent something: that one is killed."""
    running: list[subprocess.Popen[bytes]] = []
    receiver.on_arrival = lambda: running[-1].send_signal(signal.SIGKILL)
    try:
        for _ in range(round(LONGEST_WAIT / TRY_EVERY)):
            at += TRY_EVERY
            running.append(_start_deliverer(settings.home_path, receiver.url, at))
            code = running[-1].wait()
            if receiver.arrivals:
                return at, code
    finally:
        receiver.on_arrival = None
    return at, None


def _start_deliverer(home: Path, url: str, at: datetime) -> subprocess.Popen[bytes]:
    return start_child(__name__, [str(home), url, at.isoformat()])


def _waiting(outbox: object) -> int:
    from orchestration.alerts.store import Outbox

    assert isinstance(outbox, Outbox)
    rows = outbox.rows(f"select count(*) as n from deliveries where state in {sql_list(UNDELIVERED)}")
    return int(rows[0]["n"])


def _deliver_once(home: str, url: str, at: str) -> None:
    """What the process to be killed does: one delivery pass."""
    from orchestration.alerts.configured_channels import open_channels
    from orchestration.alerts.delivery import deliver
    from orchestration.alerts.policy import policy_of
    from orchestration.alerts.store import Outbox
    from orchestration.reliability.drills.market import FAULT_DAY, drill_settings

    settings = drill_settings(Path(home), days=FAULT_DAY, alert_urls=url)
    deliver(
        Outbox.of(settings.home_path),
        open_channels(settings),
        datetime.fromisoformat(at),
        policy_of(settings),
    )


if __name__ == "__main__":
    end_with_input()
    _deliver_once(*sys.argv[1:])
