"""One question to a JSON API, and its answer: retries, limits, and a key that is never shown.

Here: GET. Not here: pages (`sources.web_api.paging`), what an answer means (`sources.web_api.streams`).

An answer is limited in size and in time, a redirect is not followed: it could lead to an address of this network. No
message has text of the answer, which may repeat the key.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from sources.protocol import SourceError
from sources.web_api.addresses import host_of
from sources.web_api.transport import (
    ATTEMPTS,
    LONGEST_PAUSE_S,
    BusyError,
    Pace,
    http_client,
    pause_s,
    retry_after,
    server_time,
)

MAX_BYTES = 50_000_000
"""Largest answer."""

_LATER = (408, 425, 429)
"""HTTP states below 500 that ask for patience."""

_NO_ENTRY = (401, 403)


class ApiUnavailableError(SourceError):
    """An API does not answer; the same question may be answered later."""

    exit_code = 1


class ApiRefusedError(SourceError):
    """An API answered that it will not answer this question; others it may.

    Attributes:
        state: HTTP state.
    """

    exit_code = 1

    def __init__(self, message: str, state: int) -> None:
        super().__init__(message)
        self.state = state


def key_from(variable: str) -> SecretStr | None:
    """The key in an environment variable; None when it is not set.

    Raises:
        SourceError: It cannot be a key: an HTTP header has visible ASCII characters only.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isprintable()):
        raise SourceError(
            f"expected a key of visible ASCII characters in {variable}, found others: copy it again"
        )
    return SecretStr(value)


def read_json(body: bytes | str) -> Any:
    """A document whose numbers stay text: none is infinite or loses digits before the rules of the contract see it.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is too deep.
    """
    return json.loads(body, parse_constant=str, parse_float=str, parse_int=str)


class ApiClient:
    """A JSON API at one address.

    Attributes:
        host: Its host, for messages.
        requests: Questions that were sent.
        clock: The server's clock (UTC, naive) at its last answer; None: it did not say.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, SecretStr] | None = None,
        requests_per_second: float = 0,
        timeout_s: float = 30,
        max_bytes: int = MAX_BYTES,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Describe the API; nothing is asked yet.

        Args:
            url: Address that all paths are below.
            headers: Headers with keys.
            requests_per_second: Most requests in a second; 0: no limit of ours.
            timeout_s: Seconds for one whole answer.
            max_bytes: Largest answer, unpacked.
            attempts: Times that a question is asked before it is given up.
            sleep: How to wait.

        Raises:
            SourceError: The address is none.
        """
        host = host_of(url)
        if host is None:
            raise SourceError("expected the address of an API to start with https:// or http://")
        self.host = host
        self.requests = 0
        self.clock: datetime | None = None
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._pace = Pace(requests_per_second, sleep)
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._attempts = attempts
        self._sleep = sleep
        self._client = http_client([url], timeout_s)

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The JSON document at a path.

        Raises:
            ApiRefusedError: The question is refused.
            ApiUnavailableError: There is no answer, or none that can be used.
        """
        failures = 0
        while True:
            self._pace.wait()
            try:
                return self._ask(path, params)
            except BusyError as problem:
                failures += 1
                too_long = (problem.pause_s or 0) > LONGEST_PAUSE_S * self._attempts
                if problem.permanent or too_long or failures >= self._attempts:
                    wait = f", and asks to wait {problem.pause_s:.0f} s" if problem.pause_s else ""
                    raise ApiUnavailableError(
                        f"expected an answer of {self.host}{path}, found {problem}{wait}. What was read is kept: run "
                        "again later"
                    ) from None
                self._sleep(pause_s(failures, problem.pause_s))

    def _ask(self, path: str, params: Mapping[str, str]) -> Any:
        self.requests += 1
        headers = {name: key.get_secret_value() for name, key in self._headers.items()}
        ends = time.monotonic() + self._timeout_s
        try:
            with self._client.stream(
                "GET",
                self._url + path,
                params=dict(params),
                headers={"accept": "application/json", **headers},
            ) as answer:
                self.clock = server_time(answer) or self.clock
                self._check(answer, path)
                body = self._whole(answer, path, ends)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            # Not the text of the error: it may hold the address, or a header.
            raise BusyError(type(failure).__name__) from None
        try:
            return read_json(body)
        except (ValueError, RecursionError):
            raise BusyError("no JSON") from None

    def _check(self, answer: httpx.Response, path: str) -> None:
        state = answer.status_code
        if state in _NO_ENTRY:
            raise BusyError(f"HTTP {state} (is the key right?)", permanent=True)
        if state >= 500 or state in _LATER:
            raise BusyError(f"HTTP {state}", retry_after(answer))
        if state != 200:
            redirected = " (redirects are not followed)" if 300 <= state < 400 else ""
            raise ApiRefusedError(
                f"expected an answer of {self.host}{path}, found HTTP {state}{redirected}", state
            )

    def _whole(self, answer: httpx.Response, path: str, ends: float) -> bytes:
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > self._max_bytes:
                raise ApiRefusedError(
                    f"expected an answer of {self.host}{path} of at most {self._max_bytes:,} bytes, found more",
                    413,
                )
            if time.monotonic() > ends:
                raise BusyError(f"an answer that takes longer than {self._timeout_s:g} s")
        return bytes(body)
