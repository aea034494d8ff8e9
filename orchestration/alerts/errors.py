"""Errors that stop alerting with a message. Light to import: the command line catches these."""

from __future__ import annotations


class AlertingError(RuntimeError):
    """Base of the errors of alerting itself."""


class OutboxError(AlertingError):
    """The outbox file cannot be read or written; the message says what to do with it."""


class ChannelError(AlertingError):
    """An alert URL cannot be used; the message says which and what is expected. It never holds the URL's secrets."""
