"""What a channel is: the protocol between delivery and an endpoint.

Here: messages, outcomes and the protocol. Not here: the channels (`orchestration.alerts.log_channel`,
`orchestration.alerts.apprise_channel`), which of them a home has (`orchestration.alerts.configured_channels`), and
when something is sent (`orchestration.alerts.delivery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from orchestration.states import NoticeKind, SendResult, Severity


@dataclass(frozen=True)
class Message:
    """One notice for one endpoint, ready to send.

    Attributes:
        delivery_id: The idempotency key: a message that is sent again, because its deliverer was killed before it could
            record the success, carries the same one.
        incident: The same for all messages about one incident: opened, reminders, resolved.
        kind: opened, reminder or resolved.
        keys: The alerts it is about.
        text: Body, runbook, command and ids.
    """

    delivery_id: str
    incident: str
    kind: NoticeKind
    severity: Severity
    title: str
    body: str
    runbook: str
    command: str
    keys: tuple[str, ...]
    created_at: str

    @property
    def subject(self) -> str:
        """The title with what it is: `[PAGE] …`, `[STILL OPEN · PAGE] …`, `[RESOLVED] …`."""
        severity = self.severity.upper()
        label = {
            NoticeKind.OPENED: severity,
            NoticeKind.REMINDER: f"STILL OPEN · {severity}",
            NoticeKind.RESOLVED: "RESOLVED",
        }[self.kind]
        return f"[{label}] {self.title}"

    @property
    def text(self) -> str:
        """The message in full."""
        what_to_do = (
            [] if self.kind == NoticeKind.RESOLVED else [f"Run: {self.command}", f"Runbook: {self.runbook}"]
        )
        return "\n".join(
            [self.body, "", *what_to_do, f"Incident {self.incident} · message {self.delivery_id}"]
        )


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt.

    Attributes:
        result: sent; failed (try again); rejected (the endpoint refuses this message); throttled (the endpoint
            asks for fewer messages of any kind).
        detail: What the endpoint answered, without secrets.
        retry_after: What the endpoint asked for, if it did.
    """

    result: SendResult
    detail: str = ""
    retry_after: timedelta | None = None


class Channel(Protocol):
    """Something that takes messages: one endpoint."""

    @property
    def endpoint(self) -> str:
        """Identity that survives a restart and holds no secret."""

    @property
    def label(self) -> str:
        """Its name in messages; holds no secret."""

    def send(self, message: Message, *, is_repeat: bool) -> Outcome:
        """Try once. `is_repeat`: an earlier attempt may have arrived."""


def endpoints(channels: Sequence[Channel]) -> dict[str, str]:
    """Label by endpoint."""
    return {channel.endpoint: channel.label for channel in channels}
