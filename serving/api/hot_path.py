"""The look-up that most requests are, answered before FastAPI's machinery.

Here: GET /v1/tokens/{collection}/{token} when it simply has an answer. Not here: everything else about it. Whatever is
unusual (a query, an unknown name, an answer to compress) is left to the route, which gives the same bytes.

Concept: SQLite finds a token in about 30 µs; a framework's routing, dependencies and response cost several times that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from serving.api.service import JSON, RawHeaders, Service, is_known
from serving.store.errors import StoreError
from serving.views.answer import answer

PREFIX = b"/v1/tokens/"
ROUTE = "/v1/tokens/{collection}/{token}"
COMPRESSED_FROM = 1024
"""Bytes from which answers are compressed for clients that can; few answers about one token are that long."""

LONGEST_NAME = 256
"""Bytes of a collection's name, as it was sent: decoded names are remembered, and a client may send 100 kB of them."""


def quick_answer(
    service: Service, scope: dict[str, Any], raw_path: bytes, headers: dict[bytes, bytes]
) -> tuple[int, RawHeaders, bytes] | None:
    """Status, headers and body; None: let the route answer."""
    if scope["query_string"] or not raw_path.startswith(PREFIX):
        return None
    collection, slash, token = raw_path[len(PREFIX) :].partition(b"/")
    if not (slash and collection and token) or b"/" in token or len(collection) > LONGEST_NAME:
        return None
    try:
        edition = service.store.current()
        found = edition.resolve(_name(collection))
        if len(found) != 1:
            return None
        body = edition.token(found[0].id, (unquote_to_bytes(token) if b"%" in token else token).decode())
    except (UnicodeDecodeError, StoreError):
        return None
    if body is None:
        return None
    now = service.now()
    response_headers = service.headers(edition, now)
    if is_known(headers.get(b"if-none-match"), response_headers[0][1]):
        return 304, response_headers, b""
    whole = answer(body, edition.pointer, now)
    if len(whole) >= COMPRESSED_FROM:
        return None
    return 200, [(b"content-type", JSON), (b"content-length", b"%d" % len(whole)), *response_headers], whole


@lru_cache(maxsize=4096)
def _name(segment: bytes) -> str:
    """A segment of a path, decoded; there are some thousand collections, and each is asked for again and again."""
    return unquote_to_bytes(segment).decode()
