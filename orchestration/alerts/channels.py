"""Where messages go: what a channel is, and the log file that every home has.

Here: the protocol between delivery and an endpoint, and the file channel. Not here: Apprise
(`apprise_channel.py`), and when something is sent (`delivery.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from filelock import FileLock

if TYPE_CHECKING:
    from orchestration.settings import Settings

LOG_FILE = "alerts.log"

_TAIL_BYTES = 1_000_000
"""How far back the log is searched for a delivery that may have been written before: thousands of messages."""


@dataclass(frozen=True)
class Message:
    """One notice for one endpoint, ready to send.

    Attributes:
        delivery_id: The idempotency key: a message that is sent again, because its deliverer died before it could
            record the success, carries the same one.
        incident: The same for all messages about one incident: opened, reminders, resolved.
        kind: opened, reminder or resolved.
        keys: The alerts it is about.
        text: Body, runbook, command and ids as a person reads them.
    """

    delivery_id: str
    incident: str
    kind: Literal["opened", "reminder", "resolved"]
    severity: str
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
        label = {"opened": severity, "reminder": f"STILL OPEN · {severity}", "resolved": "RESOLVED"}[
            self.kind
        ]
        return f"[{label}] {self.title}"

    @property
    def text(self) -> str:
        """What a person reads."""
        what_to_do = [] if self.kind == "resolved" else [f"Run: {self.command}", f"Runbook: {self.runbook}"]
        return "\n".join(
            [self.body, "", *what_to_do, f"Incident {self.incident} · message {self.delivery_id}"]
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    Attributes:
        result: sent; failed (try again); rejected (the endpoint refuses this message); throttled (the endpoint asks
            for patience with everything).
        detail: What was seen, without secrets.
        retry_after: What the endpoint asked for, if it did.
    """

    result: Literal["sent", "failed", "rejected", "throttled"]
    detail: str = ""
    retry_after: timedelta | None = None


class Channel(Protocol):
    """Something that takes messages: one endpoint."""

    @property
    def endpoint(self) -> str:
        """Identity that survives a restart and holds no secret."""

    @property
    def label(self) -> str:
        """What a person calls it; holds no secret."""

    def send(self, message: Message, *, is_repeat: bool) -> Outcome:
        """Try once. `is_repeat`: an earlier attempt may have arrived."""


class LogChannel:
    """Appends each message as one JSON line. Exactly once: a message that may be there already is looked for."""

    endpoint = "log"

    def __init__(self, path: Path) -> None:
        """Nothing is opened before the first message."""
        self.path = path
        self.label = f"log file {path.name}"

    def send(self, message: Message, *, is_repeat: bool) -> Outcome:
        """Append and flush to the disk; the line is there before this returns."""
        line = {**asdict(message), "keys": list(message.keys)}
        # One writer at a time, or two deliverers could both look, see nothing and write.
        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=10), self.path.open("ab+") as file:
                tail = self._tail(file.fileno())
                if is_repeat and f'"delivery_id": "{message.delivery_id}"'.encode() in tail:
                    return Outcome("sent", "was in the log already")
                # A line that was cut by a crash must not swallow this one.
                cut = b"\n" if tail and not tail.endswith(b"\n") else b""
                file.write(cut + json.dumps(line, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Outcome("failed", f"{type(error).__name__}: {error.strerror or error}")
        return Outcome("sent")

    @staticmethod
    def _tail(descriptor: int) -> bytes:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))


def open_channels(settings: Settings) -> list[Channel]:
    """The channels of a home: its log file, which always gets everything, and one for each URL.

    Raises:
        ChannelError: a URL that Apprise cannot use, by its position.
    """
    channels: list[Channel] = [LogChannel(settings.home_path / LOG_FILE)]
    urls = settings.alert_urls.get_secret_value()
    if urls:
        from orchestration.alerts.apprise_channel import open_apprise_channels

        channels += open_apprise_channels(urls)
    return channels


def endpoints(channels: Sequence[Channel]) -> dict[str, str]:
    """Label by endpoint."""
    return {channel.endpoint: channel.label for channel in channels}
