"""The thresholds of alerting. Here: each, with its unit and its reason. Not here: what they decide."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestration.states import Severity

if TYPE_CHECKING:
    from orchestration.settings import Settings


@dataclass(frozen=True)
class AlertPolicy:
    """The numbers of alerting.

    Attributes:
        reminder_every: By severity, after how long an open incident gets a reminder; absent: never.
        quiet_after_recovery: By severity, how long after its recovery a key that comes back is only watched.
        reported_flaps: A key that came back this many times inside its quiet time raises a message anyway.
        names_shown: How many members of a group a message names.
        backoff_first: Wait after the first failed attempt; it doubles with each further one.
        backoff_longest: The longest wait, also of messages for a repaired endpoint.
        attempts_failing: Failed attempts after which a message is given up: about a day at the longest wait.
        attempts_rejected: The same when the endpoint refuses this very message (4xx): repeating it rarely helps.
        throttled_longest: A Retry-After beyond this is cut to it.
        undelivered_longest: Age at which a message is given up however often it was throttled.
        lease: How long a claimed message belongs to its deliverer. Longer than any send; after it, the next
            deliverer sends it again under the same id.
        failures_per_pass: Attempts that may fail at an endpoint in one pass before the pass stops.
            More than one, so that one bad message does not block those behind it.
        pass_budget: How long one pass goes on claiming messages of an endpoint. A Dagster sensor has 60 s in all.
        retention: How long what is over is kept.
    """

    reminder_every: dict[Severity, timedelta] = field(
        default_factory=lambda: {Severity.PAGE: timedelta(hours=4), Severity.TICKET: timedelta(hours=24)}
    )
    quiet_after_recovery: dict[Severity, timedelta] = field(
        default_factory=lambda: {
            Severity.PAGE: timedelta(minutes=10),
            Severity.TICKET: timedelta(hours=1),
            Severity.INFO: timedelta(hours=6),
        }
    )
    reported_flaps: int = 3
    names_shown: int = 10
    backoff_first: timedelta = timedelta(seconds=30)
    backoff_longest: timedelta = timedelta(minutes=15)
    attempts_failing: int = 100
    attempts_rejected: int = 5
    throttled_longest: timedelta = timedelta(hours=6)
    undelivered_longest: timedelta = timedelta(days=3)
    lease: timedelta = timedelta(minutes=2)
    failures_per_pass: int = 2
    pass_budget: timedelta = timedelta(seconds=30)
    retention: timedelta = timedelta(days=90)

    def backoff(self, delivery_id: str, attempts: int) -> timedelta:
        """The wait after `attempts` failures: exponential, with jitter between half and all of it.

        The jitter comes from the delivery's id, so that messages that failed together do not return together
        and a replay gives the same times.
        """
        doubled = self.backoff_first * 2 ** min(attempts - 1, 20)
        digest = hashlib.sha256(f"{delivery_id} {attempts}".encode()).digest()
        return min(doubled, self.backoff_longest) * (0.5 + digest[0] / 510)


def policy_of(settings: Settings) -> AlertPolicy:
    """The policy with the reminders that the settings ask for."""
    return AlertPolicy(
        reminder_every={
            Severity.PAGE: timedelta(hours=settings.alert_reminder_page_h),
            Severity.TICKET: timedelta(hours=settings.alert_reminder_ticket_h),
        }
    )
