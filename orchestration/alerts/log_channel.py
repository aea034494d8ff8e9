"""The log file of a home as a channel. Here: appending a message exactly once. Not here: which message is sent when."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from orchestration.alerts.channels import Message, Outcome
from orchestration.states import SendResult

LOG_FILE = "alerts.log"

_TAIL_BYTES = 1_000_000
"""How far back the log is searched for a delivery that may have been written before: thousands of messages."""


class LogChannel:
    """Appends each message as one JSON line. Exactly once: a message that may be there already is searched for."""

    endpoint = "log"

    def __init__(self, path: Path) -> None:
        """Nothing is opened before the first message."""
        self.path = path
        self.label = f"log file {path.name}"

    def send(self, message: Message, *, is_repeat: bool) -> Outcome:
        """Append and flush to the disk; the line is there before this returns."""
        line = {**asdict(message), "keys": list(message.keys)}
        # One writer at a time, or two deliverers could both find nothing and write.
        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=10), self.path.open("ab+") as file:
                tail = self._tail(file.fileno())
                if is_repeat and f'"delivery_id": "{message.delivery_id}"'.encode() in tail:
                    return Outcome(SendResult.SENT, "was in the log already")
                # This line must not be joined to one that was cut by a crash.
                cut = b"\n" if tail and not tail.endswith(b"\n") else b""
                file.write(cut + json.dumps(line, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Outcome(SendResult.FAILED, f"{type(error).__name__}: {error.strerror or error}")
        return Outcome(SendResult.SENT)

    @staticmethod
    def _tail(descriptor: int) -> bytes:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
