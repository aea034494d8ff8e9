"""The gate: what happens to every request before and around its route.

Here: keys, limits of rate, size and time, the path as it was sent, HEAD, metrics, and that no error leaves as it is.
Not here: answers (`hot_path`, `routes`).

Concept: one ASGI callable around the whole application, so that the short-circuited look-up and the routes pass the
same checks. Paths are routed still percent-encoded: a collection may be called `a/b`, and a decoded slash would be
taken for the end of its name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from serving.api.hot_path import PREFIX, ROUTE, QuickAnswers
from serving.api.keys import KeyFile, KeyFileError
from serving.api.limiting import Limiter
from serving.api.problems import Problem, ProblemError, internal_problem
from serving.api.service import Service
from serving.metrics.requests import REFUSED, RequestMetrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({b"/healthz", b"/readyz"})
"""Answered without a key and without a limit: a load balancer asks them."""

LOGGED_BYTES = 500
"""Of the path of a request that failed: a name may have 10 kB."""

_SAFE = ":@!$&'()*+,;=-._~"
_log = logging.getLogger("assay.api")


class Gate:
    """The outermost application.

    Args:
        app: The routes.
        service: Store and settings.
        keys: Keys that are good.
        limiter: Counts requests.
        metrics: Counts requests for Prometheus.
    """

    def __init__(
        self,
        app: Application,
        service: Service,
        keys: KeyFile,
        limiter: Limiter,
        metrics: RequestMetrics,
    ) -> None:
        self._app, self._service, self._keys = app, service, keys
        self._limiter, self._metrics = limiter, metrics
        self._quick = QuickAnswers(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        raw_path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_head = scope["method"] == "HEAD"
        try:
            if raw_path not in OPEN_PATHS:
                self._admit(scope, headers)
            if scope["method"] != "GET" or not raw_path.startswith(PREFIX):
                quick = None
            elif self._service.store.is_remote:
                quick = await self._service.look_up(self._quick.find, scope, raw_path, headers)
            else:
                quick = self._quick.find(scope, raw_path, headers)
        except Exception as error:  # noqa: BLE001 - the boundary: logged, not sent to the client
            problem = _problem_of(error, scope, raw_path)
            await _send_problem(send, problem, is_head)
            self._metrics.observe(REFUSED, _method(scope), problem.status, time.perf_counter() - began)
            return
        if quick is not None:
            status, response_headers, body = quick
            await send({"type": "http.response.start", "status": status, "headers": response_headers})
            await send({"type": "http.response.body", "body": body})
            self._metrics.observe(ROUTE, "GET", status, time.perf_counter() - began)
            return
        response = _Response(send, is_head)
        self._metrics.underway.inc()
        try:
            await self._routed(scope, receive, response, raw_path, headers)
        finally:
            self._metrics.underway.dec()
            self._metrics.observe(
                _route(scope), _method(scope), response.status or 499, time.perf_counter() - began
            )

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Let the request in, or raise the problem that keeps it out."""
        text = _key_text(headers)
        if text is None:
            if not self._service.config.anonymous:
                raise ProblemError(_unauthorized("expected a key, found none"))
            client = scope.get("client")
            wait = self._limiter.wait_of_address(client[0] if client else "unknown")
        else:
            try:
                key = self._keys.find(text)
            except KeyFileError:
                _log.exception("the file of keys cannot be read: no key is accepted")
                key = None
            if key is None:
                raise ProblemError(
                    _unauthorized("expected a key that is known and not revoked, found another")
                )
            wait = self._limiter.wait_of_key(key.id, key.limit)
        if wait is not None:
            raise ProblemError(
                Problem(
                    "too-many-requests",
                    f"expected fewer requests, found the limit reached; wait {wait:.0f} s, or ask for many tokens at "
                    "once with POST /v1/estimates:batch",
                    headers={"retry-after": str(max(1, round(wait)))},
                )
            )

    async def _routed(
        self,
        scope: Scope,
        receive: Receive,
        response: _Response,
        raw_path: bytes,
        headers: dict[bytes, bytes],
    ) -> None:
        """Answer by a route, within the limits of size and time; whatever goes wrong becomes a problem."""
        config = self._service.config
        limit = asyncio.timeout(config.time_limit_s)
        try:
            async with limit:
                scope["path"] = _canonical(raw_path)
                scope["raw_path"] = scope["path"].encode()
                if scope["method"] == "HEAD":
                    scope["method"] = "GET"
                body = await _read_body(receive, headers, config.max_body_bytes)
                await self._app(scope, _replay(body, receive), response)
        except _ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - the boundary: logged, not sent to the client
            is_late = limit.expired() and isinstance(error, TimeoutError)
            problem = _too_late(config.time_limit_s) if is_late else _problem_of(error, scope, raw_path)
        else:
            return
        if not response.status:
            await _send_problem(response, problem, response.is_head)


class _ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class _Response:
    """Passes a response on, knows its status, and leaves the body of HEAD out."""

    def __init__(self, send: Send, is_head: bool) -> None:
        self._send, self.is_head, self.status = send, is_head, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.is_head:
            message = {**message, "body": b""}
        await self._send(message)


async def _read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body, of which no more than the limit is ever held."""
    content_length = headers.get(b"content-length", b"0")
    parts: list[bytes] = []
    size, more = int(content_length) if content_length.isdigit() else 0, True
    if size > limit:
        raise ProblemError(_too_large(limit, size))
    size = 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise ProblemError(_too_large(limit, size))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what the server reports."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _canonical(raw_path: bytes) -> str:
    """The path with each segment encoded in one way, so that `%3A` and `:` are the same."""
    try:
        segments = [unquote_to_bytes(part).decode("utf-8") for part in raw_path.split(b"/")]
    except UnicodeDecodeError:
        raise ProblemError(
            Problem(
                "invalid-path",
                "expected the path as percent-encoded UTF-8, found other bytes; encode each name as a whole, a slash "
                "in it as %2F",
            )
        ) from None
    return "/".join(quote(segment, safe=_SAFE) for segment in segments)


def _key_text(headers: dict[bytes, bytes]) -> str | None:
    """The key that was sent, if any: `Authorization: Bearer …` or `X-API-Key: …`."""
    given = headers.get(b"authorization")
    if given is not None:
        scheme, _, text = given.partition(b" ")
        return text.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
    given = headers.get(b"x-api-key")
    return None if given is None else given.decode("latin-1")


def _unauthorized(found: str) -> Problem:
    return Problem(
        "unauthorized",
        f"{found}; send one as `Authorization: Bearer …`, `assay api keys create` on the server makes it",
        headers={"www-authenticate": "Bearer"},
    )


def _problem_of(error: Exception, scope: Scope, raw_path: bytes) -> Problem:
    """What leaves of an error. One that no request should meet is logged, with the request and where it came from."""
    if isinstance(error, ProblemError):
        return error.problem
    _log.error("%s %r failed", _method(scope), raw_path[:LOGGED_BYTES], exc_info=error)
    return internal_problem()


def _too_late(limit_s: float) -> Problem:
    return Problem(
        "timeout",
        f"expected the request to take at most {limit_s:g} s, it took longer; ask for less at once",
    )


def _too_large(limit: int, found: int) -> Problem:
    # The rest of the body stays unread, so the connection cannot be used again.
    return Problem(
        "too-large",
        f"expected a body of at most {limit:,} bytes, found {found:,}; send it in parts",
        headers={"connection": "close"},
    )


async def _send_problem(send: Send, problem: Problem, is_head: bool) -> None:
    body = problem.body()
    headers = [(name.encode(), value.encode()) for name, value in problem.all_headers().items()]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


def _route(scope: Scope) -> str:
    """The route's template; one word for all paths that are none, so that clients cannot create labels."""
    return getattr(scope.get("route"), "path", "none")


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
