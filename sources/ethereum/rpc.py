"""JSON-RPC to one or several nodes: fail-over, retries, limits of rate.

Here: questions and answers. Not here: what is asked (`sources.ethereum.chain`, `sources.ethereum.fetching`).

An address of a provider holds its key. It never leaves this module: messages name an endpoint by its host and its
position in the list, and the log lines of httpx, which hold whole addresses, are turned off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic_core import from_json

from sources.ethereum.rpc_errors import error_text, is_rate_limit
from sources.protocol import SourceError
from sources.web_api.addresses import host_of
from sources.web_api.transport import ATTEMPTS, BusyError, Pace, http_client, pause_s, retry_after

_PERMANENT = (401, 403, 404)
"""HTTP states that do not go away by asking again: a wrong key or address."""


class NodeUnavailableError(SourceError):
    """No endpoint answers; the message names each one with its last problem."""

    exit_code = 1


class AnswerError(SourceError):
    """A node answered that it will not, or cannot, answer this question.

    Attributes:
        endpoint: Name of the endpoint.
        text: What it said.
    """

    exit_code = 1

    def __init__(self, endpoint: str, method: str, text: str) -> None:
        super().__init__(f"{endpoint}: {method} was refused: {text}")
        self.endpoint = endpoint
        self.text = text


@dataclass(frozen=True)
class Answer:
    """A result, and the endpoint that gave it."""

    result: Any
    endpoint: str


@dataclass
class _Endpoint:
    url: str
    name: str
    pace: Pace
    free_at: float = 0.0
    failures: int = 0
    problem: str = ""
    unusable: bool = False


class Rpc:
    """JSON-RPC endpoints of one chain, the preferred first. Safe to use from several threads."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        requests_per_second: float = 0,
        timeout_s: float = 60,
        attempts: int = ATTEMPTS,
        parallel: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Describe the endpoints; nothing is asked yet.

        Args:
            urls: Addresses, the preferred first.
            requests_per_second: Most requests to one endpoint in a second; 0: no limit of ours.
            timeout_s: Seconds to wait for one answer.
            attempts: Times that each endpoint is asked before a question is given up.
            parallel: Batches of one question that are asked at a time.
            sleep: How to wait.

        Raises:
            SourceError: An address is none.
        """
        self.endpoints = [
            _Endpoint(url, _name(url, n), Pace(requests_per_second, sleep)) for n, url in enumerate(urls, 1)
        ]
        if not self.endpoints:
            raise SourceError("expected at least one address of a node, found none")
        self.requests = 0
        self._attempts = attempts
        self._parallel = parallel
        self._sleep = sleep
        self._client = http_client(urls, timeout_s)

    @property
    def current(self) -> str:
        """Name of the endpoint that would be asked next."""
        return self._next(self._usable()).name

    @property
    def names(self) -> list[str]:
        """Names of the endpoints, the preferred first."""
        return [endpoint.name for endpoint in self.endpoints]

    @property
    def has_usable(self) -> bool:
        """Whether an endpoint is left that may be asked."""
        return bool(self._usable())

    def set_aside(self, endpoint: str, why: str) -> None:
        """Ask this endpoint nothing more."""
        for one in self.endpoints:
            if one.name == endpoint:
                one.unusable, one.problem = True, why

    def call(self, method: str, *params: Any, endpoint: str | None = None) -> Any:
        """The result of one question; see `ask`."""
        return self.ask(method, *params, endpoint=endpoint).result

    def ask(self, method: str, *params: Any, endpoint: str | None = None) -> Answer:
        """The result of one question.

        Args:
            method: JSON-RPC method.
            params: Its parameters.
            endpoint: Ask only this one.

        Raises:
            AnswerError: A node refuses the question itself.
            NodeUnavailableError: No endpoint answers.
        """
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        document, name = self._post(question, endpoint)
        if not isinstance(document, dict):
            raise AnswerError(name, method, f"expected a JSON object, found {type(document).__name__}")
        return Answer(_result(document, name, method), name)

    def batch(self, method: str, params: Sequence[Sequence[Any]], *, size: int = 50) -> list[Any]:
        """The results of many questions of one method, in their order.

        A provider that refuses batches is asked one by one.

        Raises:
            AnswerError: A node refuses a question.
            NodeUnavailableError: No endpoint answers.
        """
        results = self.batch_each(method, params, size=size)
        for result in results:
            if isinstance(result, AnswerError):
                raise result
        return results

    def batch_each(
        self, method: str, params: Sequence[Sequence[Any]], *, size: int = 50
    ) -> list[Any | AnswerError]:
        """As `batch`, where a question that is refused does not stop the others: its result is the error.

        Raises:
            NodeUnavailableError: No endpoint answers.
        """
        pieces = [params[start : start + size] for start in range(0, len(params), size)]
        if len(pieces) <= 1:
            return [result for some in pieces for result in self._one_batch(method, some)]
        with ThreadPoolExecutor(min(self._parallel, len(pieces))) as pool:
            answered = pool.map(lambda some: self._one_batch(method, some), pieces)
            return [result for some in answered for result in some]

    def _one_batch(self, method: str, some: Sequence[Sequence[Any]]) -> list[Any | AnswerError]:
        if len(some) == 1:
            return [self._call_or_error(method, some[0])]
        questions = [
            {"jsonrpc": "2.0", "id": n, "method": method, "params": list(p)} for n, p in enumerate(some)
        ]
        document, name = self._post(questions, None)
        listed = document if isinstance(document, list) else []
        answers = {a.get("id"): a for a in listed if isinstance(a, dict)}
        if answers.keys() != set(range(len(some))):
            answers = {}
        results: list[Any | AnswerError] = []
        for n, one in enumerate(some):
            answer = answers.get(n)
            if answer is None or answer.get("error"):
                results.append(self._call_or_error(method, one))
            else:
                results.append(_result(answer, name, method))
        return results

    def _call_or_error(self, method: str, params: Sequence[Any]) -> Any | AnswerError:
        try:
            return self.call(method, *params)
        except AnswerError as error:
            return error

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _usable(self, only: str | None = None) -> list[_Endpoint]:
        return [e for e in self.endpoints if not e.unusable and only in (None, e.name)]

    def _next(self, endpoints: Sequence[_Endpoint]) -> _Endpoint:
        if not endpoints:
            raise self._unavailable()
        now = time.monotonic()
        return min(endpoints, key=lambda e: max(e.free_at - now, 0.0))  # the first of equals is preferred

    def _unavailable(self) -> NodeUnavailableError:
        problems = "; ".join(f"{e.name}: {e.problem or 'not asked'}" for e in self.endpoints)
        return NodeUnavailableError(
            f"expected an answer of a node, found none. {problems}. What was read is kept: run again when a node "
            "answers"
        )

    def _post(self, body: Any, only: str | None) -> tuple[Any, str]:
        """The JSON document that an endpoint answers, and the endpoint's name."""
        tries: dict[str, int] = {}
        while True:
            left = [e for e in self._usable(only) if tries.get(e.name, 0) < self._attempts]
            if not left:
                raise self._unavailable()
            endpoint = self._next(left)
            wait = max(endpoint.free_at - time.monotonic(), 0.0)
            if wait:
                self._sleep(wait)
            tries[endpoint.name] = tries.get(endpoint.name, 0) + 1
            try:
                document = self._send(endpoint, body)
            except BusyError as problem:
                endpoint.problem = str(problem)
                endpoint.unusable = problem.permanent
                endpoint.failures += 1
                endpoint.free_at = time.monotonic() + pause_s(endpoint.failures, problem.pause_s)
            else:
                endpoint.failures = 0
                return document, endpoint.name

    def _send(self, endpoint: _Endpoint, body: Any) -> Any:
        endpoint.pace.wait()
        self.requests += 1
        try:
            answer = self._client.post(endpoint.url, json=body)
        except httpx.HTTPError as failure:
            # Not the text of the error: it may hold the address.
            raise BusyError(type(failure).__name__) from None
        if answer.status_code == 429:
            raise BusyError("HTTP 429 (too many requests)", retry_after(answer))
        document: Any = None
        try:
            document = from_json(answer.content)
        except ValueError:
            if answer.status_code == 413:
                document = {"error": {"message": "HTTP 413: the answer is too large"}}
        error = document.get("error") if isinstance(document, dict) else None
        if error and is_rate_limit(error):
            raise BusyError(error_text(error), retry_after(answer))
        if document is None or (answer.status_code >= 400 and not error):
            raise BusyError(
                f"HTTP {answer.status_code}" if answer.status_code >= 400 else "no JSON",
                retry_after(answer),
                permanent=answer.status_code in _PERMANENT,
            )
        if answer.status_code in _PERMANENT:
            raise BusyError(f"HTTP {answer.status_code}: {error_text(error)}", permanent=True)
        return document


def _result(document: dict[str, Any], endpoint: str, method: str) -> Any:
    if document.get("error"):
        raise AnswerError(endpoint, method, error_text(document["error"]))
    if "result" not in document:
        raise AnswerError(endpoint, method, "the answer has neither a result nor an error")
    return document["result"]


def _name(url: str, position: int) -> str:
    host = host_of(url)
    if host is None:
        raise SourceError(f"expected address {position} of a node to start with https:// or http://")
    return f"node {position} ({host})"
