"""Alerts of Prometheus become incidents of the outbox, so that they reach the channels of Assay's own alerts.

Here: what Alertmanager posts (its webhook, version 4), and the incidents. Not here: HTTP, delivery.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationError

from orchestration.alerts.outbox import Alert, raise_alert, resolve_alert
from orchestration.slo.definitions import RUNBOOKS
from orchestration.states import Severity

if TYPE_CHECKING:
    from orchestration.alerts.store import Outbox

SCOPE = "prometheus"
_UNSUITED = re.compile(r"[^A-Za-z0-9_.:-]+")


class ReceivedError(ValueError):
    """What was posted is no message of Alertmanager; the message says what was expected."""


class _Annotations(BaseModel):
    summary: str = Field(min_length=1, max_length=300)
    description: str = Field("", max_length=4000)
    runbook: str = Field("check-failed", pattern=r"^[a-z0-9][a-z0-9-]*$")
    command: str = Field("assay status", max_length=300)


class _Labels(BaseModel):
    alertname: str = Field(min_length=1, max_length=100)
    severity: Severity = Severity.TICKET


class _One(BaseModel):
    status: str = Field(pattern="^(firing|resolved)$")
    labels: _Labels
    annotations: _Annotations
    fingerprint: str = Field(min_length=1, max_length=64)

    def alert(self) -> Alert:
        name = _UNSUITED.sub("_", self.labels.alertname)
        runbook = self.annotations.runbook
        return Alert(
            key=f"{SCOPE}/{name}/{_UNSUITED.sub('_', self.fingerprint)}",
            severity=self.labels.severity,
            title=self.annotations.summary,
            body=self.annotations.description or f"{name} fires in Prometheus.",
            runbook=runbook if (RUNBOOKS / f"{runbook}.md").is_file() else "check-failed",
            command=self.annotations.command,
            group=f"alerts of {name}",
        )


class _Message(BaseModel):
    version: str = Field(pattern="^4$")
    alerts: list[_One] = Field(max_length=1000)


def receive(body: bytes, outbox: Outbox, now: datetime) -> tuple[int, int]:
    """Open and resolve the incidents of one message. The same message again changes nothing.

    Args:
        body: What Alertmanager has posted.
        outbox: Of the home.
        now: Wall-clock time, naive UTC.

    Returns:
        Alerts that fire and alerts that are resolved in the message.

    Raises:
        ReceivedError: It is no such message.
        OutboxError: The outbox cannot be written.
    """
    try:
        message = _Message.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ReceivedError(
            f"expected a message of Alertmanager's webhook, version 4, found {error.error_count()} differences: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    fired = [one for one in message.alerts if one.status == "firing"]
    for one in message.alerts:
        if one in fired:
            raise_alert(outbox, one.alert(), now)
        else:
            resolve_alert(outbox, one.alert().key, now)
    return len(fired), len(message.alerts) - len(fired)
