"""Delivery through Apprise: any of its services by URL.

Here: one channel per URL, and the outcome from the endpoint's answer. Not here: which message is sent when
(`orchestration.alerts.delivery`). URLs hold secrets: an endpoint is known by a digest and a service name, never by its
URL.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from orchestration.alerts.channels import Channel, Message, Outcome
from orchestration.alerts.errors import ChannelError
from orchestration.alerts.http_recorder import Exchange, record
from orchestration.output.masking import URL_SEPARATOR
from orchestration.states import NoticeKind, SendResult, Severity

if TYPE_CHECKING:
    import requests

SEND_TIMEOUT_S = 15.0
"""How long one message may take, all requests of a service together. Well inside the lease of a claim."""

# The endpoint has understood this message and refuses it: it will refuse it later too. The other client errors
# (401, 403, 404) are a wrong key or address, which can be repaired.
_REFUSED_MESSAGE = frozenset({400, 413, 414, 415, 422})
_THROTTLING = frozenset({429, 503})
_TYPES = {Severity.PAGE: "failure", Severity.TICKET: "warning", Severity.INFO: "info"}
# Apprise's own webhooks: only they take headers and fields of ours.
_WEBHOOK_SCHEMAS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})


def open_apprise_channels(urls: str) -> list[Channel]:
    """One channel for each of the comma-separated URLs; the same URL twice is one channel.

    Raises:
        ChannelError: a URL that Apprise cannot use, by its position.
    """
    given = [url.strip() for url in URL_SEPARATOR.split(urls) if url.strip()]
    return [AppriseChannel(url, position) for position, url in enumerate(dict.fromkeys(given), start=1)]


class AppriseChannel:
    """One Apprise URL."""

    def __init__(self, url: str, position: int = 1, timeout_s: float = SEND_TIMEOUT_S) -> None:
        """Check the URL; nothing is sent.

        Args:
            url: As Apprise takes it.
            position: Its place among those given, which names it where the URL must not be shown.
            timeout_s: How long one message may take.

        Raises:
            ChannelError: Apprise does not support its schema, or parts are missing.
        """
        service = _instantiate(url)
        if service is None:
            schema = url.partition("://")[0] if "://" in url else "none"
            raise ChannelError(
                f"ASSAY_ALERT_URLS: Apprise cannot use URL number {position} (schema {schema}). Expected e.g. "
                "slack://TokenA/TokenB/TokenC, mailtos://user:password@host?to=me@host or jsons://host/path; "
                "a plain webhook https://host/path is written jsons://host/path. See docs/how-to/alerts.md."
            )
        self._url, self._timeout_s = url, timeout_s
        self._is_webhook = url.partition("://")[0].lower() in _WEBHOOK_SCHEMAS
        self.endpoint = hashlib.sha256(url.encode()).hexdigest()[:12]
        where = f" {service.host}" if self._is_webhook else ""
        self.label = f"{service.service_name}{where} ({self.endpoint[:6]})"

    def send(self, message: Message, *, is_repeat: bool) -> Outcome:  # noqa: ARG002 - the receiver compares the id
        """Send once, without Apprise's own retries: those would block the others and be lost with the process."""
        import apprise

        # Made anew for each message: its id is among the headers.
        service = _instantiate(self._url)
        if service is None:
            raise ChannelError(
                f"{self.label}: Apprise could use this URL when it was opened, and cannot any more"
            )
        service.retry = 0
        if self._is_webhook:
            _mark(service, message)
        exchange = record(service)
        sender = apprise.Apprise()
        sender.add(service)
        kind = "success" if message.kind == NoticeKind.RESOLVED else _TYPES[message.severity]
        result = sender.notify(
            title=message.subject,
            body=message.text,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._timeout_s,
        )
        return Outcome(SendResult.SENT) if result else _explained(result, exchange)


def _instantiate(url: str) -> Any:  # Apprise's services have no common typed interface for what is used here
    import logging

    import apprise

    # Our own message reports what it refuses, without the URL.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    return apprise.Apprise.instantiate(url, suppress_exceptions=True)


def _mark(service: Any, message: Message) -> None:
    """Give a webhook the id as a header and what a program needs as fields."""
    service.headers["Idempotency-Key"] = message.delivery_id
    service.payload_extras.update(
        {
            "delivery_id": message.delivery_id,
            "incident": message.incident,
            "kind": message.kind,
            "severity": message.severity,
            "keys": " ".join(message.keys),
            "runbook": message.runbook,
            "command": message.command,
        }
    )


def _explained(result: Any, exchange: Exchange) -> Outcome:
    """Why a message was not taken, from the HTTP answer or, without one, from the service's error."""
    refused = [response for response in exchange.responses if response.status_code >= 300]
    if refused:
        answer = refused[-1]
        detail = f"HTTP {answer.status_code}"
        wait = _retry_after(answer)
        if answer.status_code == 429 or (answer.status_code in _THROTTLING and wait is not None):
            return Outcome(SendResult.THROTTLED, detail, wait)
        is_refused = answer.status_code in _REFUSED_MESSAGE
        return Outcome(SendResult.REJECTED if is_refused else SendResult.FAILED, detail)
    if exchange.errors:
        return Outcome(SendResult.FAILED, exchange.errors[-1])
    return Outcome(SendResult.FAILED, f"Apprise: {result.status.name.lower()}")


def _retry_after(response: requests.Response) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, section 10.2.3); anything else is ignored."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return timedelta(seconds=int(value))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(timedelta(0), at - datetime.now(UTC))
