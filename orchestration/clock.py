"""The clock: what "now" is for everything that happens in wall-clock time.

Alerts, reminders and deliveries happen at an instant of this clock; data are read as of market time (`Assay.as_of`).
In production it is the machine's clock. A drill or a test sets it, and then runs the same jobs and sensors. Not here:
when Dagster's own runs began and ended, which only the machine's clock knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """The instant, naive UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The instant, naive UTC."""
        return datetime.now(UTC).replace(tzinfo=None)


@dataclass
class SetClock:
    """A clock that stands until it is moved.

    Attributes:
        at: The instant, naive UTC.
    """

    at: datetime

    def now(self) -> datetime:
        """The instant it is set to."""
        return self.at

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by


WALL_CLOCK = WallClock()
