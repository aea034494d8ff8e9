"""Problem details (RFC 9457): how the API says that a request has no answer.

Here: their form, titles and status codes. Not here: finding out (`serving.views`, `gate`, `routes`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from serving.explainer.client import ExplainerBusyError, ExplainerError
from serving.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreMissingError,
    StoreTooOldError,
)
from serving.views.errors import ViewError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:assay:problem:"

STATUS_AND_TITLE: dict[str, tuple[int, str]] = {
    "invalid-request": (422, "The request is not as described in /openapi.json"),
    "invalid-path": (400, "The path is not percent-encoded UTF-8"),
    "invalid-body": (400, "The body cannot be read"),
    "invalid-cursor": (400, "The cursor is not one of this list"),
    "unauthorized": (401, "A valid key is needed"),
    "not-found": (404, "There is no such path"),
    "unknown-collection": (404, "There is no such collection"),
    "unknown-token": (404, "There is no such token"),
    "unknown-wallet": (404, "No holdings are known of this address"),
    "not-explained": (404, "The reasons of this token are not published"),
    "explanation-behind": (503, "The reasons are of an estimate that is not published yet"),
    "explainer-busy": (503, "The reasons are not ready yet"),
    "not-explained-now": (503, "The reasons cannot be computed now"),
    "method-not-allowed": (405, "The path does not take this method"),
    "ambiguous-collection": (409, "Several collections are meant"),
    "too-large": (413, "The body is too large"),
    "too-many-requests": (429, "The limit of requests is reached"),
    "internal": (500, "The request failed"),
    "not-published": (503, "The store has no such document"),
    "store-missing": (503, "Nothing was published yet"),
    "store-damaged": (503, "The store is incomplete or damaged"),
    "store-format": (503, "The store was written by another version"),
    "store-too-old": (503, "The published data are too old"),
    "store-unavailable": (503, "The store cannot answer"),
    "timeout": (503, "The request took too long"),
}
"""Kind of a problem to its status code and title."""

RETRY_AFTER_S = 5
_STORE_KINDS = {
    StoreMissingError: "store-missing",
    StoreDamagedError: "store-damaged",
    StoreFormatError: "store-format",
    StoreTooOldError: "store-too-old",
}


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        kind: A key of `STATUS_AND_TITLE`.
        detail: What was expected, what was found and what to do.
        extra: More members.
        headers: Headers of the response.
    """

    kind: str
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """HTTP status code."""
        return STATUS_AND_TITLE[self.kind][0]

    def body(self) -> bytes:
        """The document."""
        document = {
            "type": TYPE_PREFIX + self.kind,
            "title": STATUS_AND_TITLE[self.kind][1],
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        # ASCII, because a name in it may hold what UTF-8 cannot write.
        return json.dumps(document).encode("ascii")

    def all_headers(self) -> dict[str, str]:
        """Headers, those every problem has among them."""
        return {"content-type": MEDIA_TYPE, "cache-control": "no-store", **self.headers}


class ProblemError(Exception):
    """A request ends with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def internal_problem() -> Problem:
    """What leaves of an error of ours: that there was one."""
    return Problem("internal", "expected an answer, found an error of ours; it is in the log of the server")


def problem_of(error: ViewError | StoreError | ExplainerError) -> Problem:
    """The problem that an error of a view, of the store or of the explainer is."""
    later = {"retry-after": str(RETRY_AFTER_S)}
    if isinstance(error, ViewError):
        headers = later if STATUS_AND_TITLE[error.kind][0] == 503 else {}
        return Problem(error.kind, str(error), error.extra, headers)
    if isinstance(error, ExplainerError):
        kind = "explainer-busy" if isinstance(error, ExplainerBusyError) else "not-explained-now"
        return Problem(kind, str(error), headers=later)
    kind = _STORE_KINDS.get(type(error), "store-unavailable")
    return Problem(kind, str(error), headers=later)
