"""What an HTTP endpoint answered to one Apprise service, which itself returns true or false only.

Here: recording the responses and errors of `requests` for one service object. Not here: what follows from them
(`orchestration.alerts.apprise_channel`). A status and `Retry-After` never leave the `send()` of a service, and Apprise
has more than a hundred of them, in modules that all call the `requests` of their own namespace. So the service gets a
private copy of its module, whose `requests` records; nothing that others use is changed
(docs/adr/0017-alert-outbox.md).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

import requests

_VERBS = frozenset({"delete", "get", "head", "options", "patch", "post", "put"})


@dataclass
class Exchange:
    """What was recorded: the responses in order, and the names of the errors of requests without one."""

    responses: list[requests.Response] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class _Session(requests.Session):
    """A session that records."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            # Its text holds the address, and an address may hold a token.
            self._exchange.errors.append(type(error).__name__)
            raise
        self._exchange.responses.append(response)
        return response


class _Requests:
    """The module `requests`, with sessions that record."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        if name in _VERBS:
            return lambda url, **kwargs: self.request(name.upper(), url, **kwargs)
        return getattr(requests, name)

    def Session(self) -> requests.Session:  # noqa: N802 - the name in `requests`
        return _Session(self._exchange)

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        with _Session(self._exchange) as session:
            return session.request(method, url, **kwargs)


def record(service: Any) -> Exchange:
    """Record from now on what this one service exchanges over HTTP.

    Args:
        service: An Apprise service. Its class becomes that of a private copy of its module.

    Returns:
        The exchange that fills while the service sends; empty for a service that uses something else than `requests`.
    """
    exchange = Exchange()
    service.__class__ = recording_class(type(service), exchange)
    return exchange


def recording_class(service: type, exchange: Exchange) -> type:
    """The class of a service from a private copy of its module; the class itself if that does not use `requests`."""
    spec = importlib.util.find_spec(service.__module__)
    if spec is None or spec.loader is None:
        return service
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "requests"):
        return service
    module.requests = _Requests(exchange)  # type: ignore[attr-defined]
    copied: type = getattr(module, service.__name__)
    return copied
