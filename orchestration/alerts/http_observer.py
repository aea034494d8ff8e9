"""What an HTTP endpoint answered, while a library that hides it does the talking.

Here: recording the responses and errors of `requests` in the current context. Not here: what follows from them
(`apprise_channel.py`). Apprise's services return true or false; a status and `Retry-After` never leave their
`send()`, and there are more than a hundred of them. All use `requests`, so one observer at its session serves all;
outside `observed()` it does nothing (docs/adr/0017-alert-outbox.md).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import requests


@dataclass
class Exchange:
    """What was seen: the responses in order, and the names of the errors of requests without one."""

    responses: list[requests.Response] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


# Apprise may send in a worker thread, with a copy of this context: the object in it is shared.
_current: ContextVar[Exchange | None] = ContextVar("observed_exchange", default=None)
_installing = threading.Lock()


@contextmanager
def observed() -> Iterator[Exchange]:
    """Record what `requests` exchanges in this block, in this context and its copies."""
    _install()
    exchange = Exchange()
    token = _current.set(exchange)
    try:
        yield exchange
    finally:
        _current.reset(token)


def _install() -> None:
    with _installing:
        original = requests.Session.send
        if hasattr(original, "is_observed"):
            return

        @functools.wraps(original)
        def send(
            self: requests.Session, request: requests.PreparedRequest, **kwargs: Any
        ) -> requests.Response:
            exchange = _current.get()
            try:
                response = original(self, request, **kwargs)
            except requests.RequestException as error:
                if exchange is not None:
                    # Its text holds the address, and an address may hold a token.
                    exchange.errors.append(type(error).__name__)
                raise
            if exchange is not None:
                exchange.responses.append(response)
            return response

        send.is_observed = True  # type: ignore[attr-defined]
        requests.Session.send = send  # type: ignore[method-assign]
