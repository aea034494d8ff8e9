"""The states that orchestration stores, sends and prints: one enumeration for each kind.

Here: their names. Not here: when a state is reached (`orchestration.slo.budget`, `orchestration.alerts`,
`orchestration.checks`), and the states of models and decisions (`ml`). A member is its stored text, so SQL names it in
an f-string: `where state = '{IncidentState.OPEN}'`.
"""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How urgent an alert is, most urgent first."""

    PAGE = "page"
    """Wakes the person on call."""
    TICKET = "ticket"
    """For working hours."""
    INFO = "info"
    """Good to know; no action is needed."""

    @property
    def urgency(self) -> int:
        """Rank: 0 is the most urgent."""
        return list(Severity).index(self)

    @classmethod
    def order_sql(cls, column: str) -> str:
        """What an SQL statement orders rows by, the most urgent first."""
        ranks = " ".join(f"when '{severity}' then {severity.urgency}" for severity in cls)
        return f"case {column} {ranks} end"


class SloState(StrEnum):
    """What the samples of an SLO say about its error budget, least urgent first."""

    OK = "ok"
    NO_DATA = "no_data"
    """Too few events in the last three days."""
    BURNING = "burning"
    """One window spends faster than sustainable, but not both windows of a rule."""
    EXHAUSTED = "exhausted"
    """Nothing is left, but nothing is being spent now."""
    TICKET = "ticket"
    PAGE = "page"


URGENT_FIRST = (*(state for state in reversed(SloState) if state != SloState.NO_DATA), SloState.NO_DATA)
"""The order in which people read them; without data there is nothing to act on."""

ALERTING = (SloState.PAGE, SloState.TICKET)
"""States in which an SLO raises an alert."""


class IncidentState(StrEnum):
    """Whether what an alert says is still true."""

    OPEN = "open"
    RESOLVED = "resolved"


class NoticeKind(StrEnum):
    """What a message reports about an incident."""

    OPENED = "opened"
    REMINDER = "reminder"
    RESOLVED = "resolved"


class DeliveryState(StrEnum):
    """State of a message to one endpoint."""

    PENDING = "pending"
    SENDING = "sending"
    """Claimed by a delivery pass until its lease ends."""
    SENT = "sent"
    DEAD = "dead"
    """A dead letter: given up after all attempts."""
    SUPERSEDED = "superseded"
    """Not needed any more."""


UNDELIVERED = (DeliveryState.PENDING, DeliveryState.SENDING)
"""States of a message that has not arrived yet and will be tried again."""


class SendResult(StrEnum):
    """Result of one attempt to send a message."""

    SENT = "sent"
    FAILED = "failed"
    """It will be tried again."""
    REJECTED = "rejected"
    """The endpoint refuses this message."""
    THROTTLED = "throttled"
    """The endpoint asks for fewer messages of any kind."""


class CheckSeverity(StrEnum):
    """How bad a failed check is."""

    ERROR = "error"
    WARN = "warn"


class EventKind(StrEnum):
    """Source of an event in a collection's history."""

    DRIFT = "drift"
    QUEUE = "queue"
    TUNING = "tuning"
    PRIOR = "prior"
    DECISION = "decision"
    ALERT = "alert"


class ClockKind(StrEnum):
    """Whose time an event carries."""

    MARKET = "market"
    """That of the data: an `as_of`."""
    WALL = "wall"


class StepState(StrEnum):
    """Progress of a Dagster step."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


class DrillStep(StrEnum):
    """Step of a drill's timeline."""

    INJECTED = "injected"
    DETECTED = "detected"
    ALERTED = "alerted"
    REMINDED = "reminded"
    ACTED = "acted"
    RECOVERED = "recovered"
    """The incident is over."""
    RESOLVED = "resolved"
    """The message that it is over has arrived."""
