"""The look-up that most requests are, answered before FastAPI's machinery.

Here: GET /v1/tokens/{collection}/{token} when it simply has an answer. Not here: everything else about it. Whatever is
unusual (a query, an unknown name, an answer to compress) is left to the route, which gives the same bytes.

Concept: SQLite finds a token in some µs; a framework's routing, dependencies and response cost many times that. Between
two requests the processor's caches have gone cold, so what counts is how much code and data a request touches: what is
the same for all requests of a second is kept ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from serving.api.service import JSON, RawHeaders, Service, is_known
from serving.store.errors import StoreError
from serving.store.files import Pointer
from serving.store.names import REMEMBERED_NAMES
from serving.store.protocol import Edition
from serving.views.answer import answer_end, end_holds_until

PREFIX = b"/v1/tokens/"
ROUTE = "/v1/tokens/{collection}/{token}"
COMPRESSED_FROM = 1024
"""Bytes from which answers are compressed for clients that can; few answers about one token are that long."""

LONGEST_NAME = 256
"""Bytes of a collection's name, as it was sent: names are remembered, and a client may send 100 kB of them."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is the same for all answers of a version until its age is a second more.

    Attributes:
        edition: Where documents come from.
        pointer: Its version, as it was when this was made.
        numbers: Collections by their name as it was sent.
        since: Seconds since 1970 from which this holds.
        until: Until when.
        end: What comes after each document.
        headers: Headers of each answer.
    """

    edition: Edition
    pointer: Pointer
    numbers: dict[bytes, int]
    since: float
    until: float
    end: bytes
    headers: RawHeaders


class QuickAnswers:
    """Answers about one token.

    Args:
        service: Store and settings.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._moment: _Moment | None = None

    def find(
        self, scope: Any, raw_path: bytes, headers: dict[bytes, bytes]
    ) -> tuple[int, RawHeaders, bytes] | None:
        """Status, headers and body for a path that begins with `PREFIX`; None: let the route answer."""
        collection, _, token = raw_path[len(PREFIX) :].partition(b"/")
        if not token or b"/" in token or scope["query_string"]:
            return None
        try:
            moment = self._current()
            number = moment.numbers.get(collection)
            if number is None and (number := _number(moment, collection)) is None:
                return None
            text = (unquote_to_bytes(token) if b"%" in token else token).decode()
            document = moment.edition.token(number, text)
        except (UnicodeDecodeError, StoreError):
            return None
        if document is None:
            return None
        known = headers.get(b"if-none-match")
        if known is not None and is_known(known, moment.headers[0][1]):
            return 304, [*moment.headers], b""
        body = document[:-1] + moment.end
        if len(body) >= COMPRESSED_FROM:
            return None
        return 200, [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *moment.headers], body

    def _current(self) -> _Moment:
        """The moment to answer from. Threads may replace it at the same time: each has made a good one."""
        edition, now, moment = self._service.store.current(), self._service.now(), self._moment
        if (
            moment is not None
            and moment.since <= now < moment.until
            and moment.pointer is edition.pointer
            and moment.edition is edition
        ):
            return moment
        pointer = edition.pointer
        moment = self._moment = _Moment(
            edition,
            pointer,
            moment.numbers if moment is not None and moment.edition is edition else {},
            now,
            end_holds_until(pointer, now),
            answer_end(pointer, now),
            self._service.headers(edition, now),
        )
        return moment


def _number(moment: _Moment, sent: bytes) -> int | None:
    """The collection of this name; None where it is none or several, or too long to be a usual one."""
    if not sent or len(sent) > LONGEST_NAME:
        return None
    found = moment.edition.resolve(unquote_to_bytes(sent).decode())
    if len(found) != 1:
        return None
    if len(moment.numbers) < REMEMBERED_NAMES:
        moment.numbers[sent] = found[0].id
    return found[0].id
