"""A trial message, to see whether it arrives. Here: sending it without the outbox."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from orchestration.alerts.channels import Channel, Message, Outcome
from orchestration.alerts.store import stamp
from orchestration.states import NoticeKind, Severity


def send_trial(channels: Sequence[Channel], now: datetime) -> dict[str, Outcome]:
    """One trial message to each channel; outcome by label."""
    trial = uuid.uuid4().hex[:16]
    outcomes = {}
    for channel in channels:
        message = Message(
            delivery_id=f"{trial}-{channel.endpoint}",
            incident=trial,
            kind=NoticeKind.OPENED,
            severity=Severity.INFO,
            title="Assay can reach you here",
            body="A trial: nothing is wrong.",
            runbook="docs/runbook/alert-delivery-dead.md",
            command="assay alerts list",
            keys=("alerting/trial",),
            created_at=stamp(now),
        )
        outcomes[channel.label] = channel.send(message, is_repeat=False)
    return outcomes
