"""The clock: the current time for everything that happens in wall-clock time.

Alerts, reminders and deliveries use this clock; data are read as of `Assay.as_of`.
In production it is the machine's clock. A drill or a test sets it, and then runs the same jobs and sensors. Not here:
when Dagster's own runs began and ended, which is the machine's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


def naive_utc(at: datetime) -> datetime:
    """The same time in UTC without a zone, as the lake keeps it; a time without a zone is UTC already."""
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


class Clock(Protocol):
    """Gives the current time."""

    def now(self) -> datetime:
        """The current time, naive UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, naive UTC."""
        return datetime.now(UTC).replace(tzinfo=None)


@dataclass
class SetClock:
    """A clock that stays at its time until it is set forward.

    Attributes:
        at: The time, naive UTC.
    """

    at: datetime

    def now(self) -> datetime:
        """The time it is set to."""
        return self.at

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by


WALL_CLOCK = WallClock()
