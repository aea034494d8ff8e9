"""What all routes share: the store, the clock, which reasons are asked for, and the headers of an answer.

Here: those, and where reasons that are not published come from. Not here: routes, keys or limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from serving.api.config import ApiConfig
from serving.explainer.client import Explainer
from serving.store.asked import FOLDER as ASKED
from serving.store.asked import AskedTokens
from serving.store.protocol import Edition, Store
from serving.views.answer import etag

JSON = b"application/json"

RawHeaders = list[tuple[bytes, bytes]]
P = ParamSpec("P")
T = TypeVar("T")


class Service:
    """The parts that requests are answered with.

    Args:
        config: Settings.
        store: Where editions come from.
        clock: Seconds since 1970.
    """

    def __init__(self, config: ApiConfig, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.config, self.store, self.now = config, store, clock
        self.explainer = (
            None
            if config.reasons is None
            else Explainer(config.reasons, patience_s=0.8 * config.time_limit_s)
        )
        self.asked = AskedTokens(config.folder / ASKED, clock)
        scope = b"public" if config.anonymous else b"private"
        self._caching = (
            (b"cache-control", b"%b, max-age=%d" % (scope, config.max_age_s)),
            (b"vary", b"Authorization, X-API-Key"),
        )

    async def look_up(self, view: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what reads a few rows: here when they are in files, in a thread when another machine has them."""
        if self.store.is_remote:
            return await run_in_threadpool(view, *args, **kwargs)
        return view(*args, **kwargs)

    def headers(self, edition: Edition, now: float) -> RawHeaders:
        """Headers of an answer from this edition."""
        return [(b"etag", etag(edition.pointer, now)), *self._caching]


def is_known(if_none_match: bytes | str | None, tag: bytes) -> bool:
    """Whether the client has this version already (weak comparison, RFC 9110 section 13.1.2)."""
    if not if_none_match:
        return False
    text = if_none_match.decode("latin-1") if isinstance(if_none_match, bytes) else if_none_match
    return _matches(text[:1000], tag.decode())


@lru_cache(maxsize=256)
def _matches(header: str, tag: str) -> bool:
    wanted = tag.removeprefix("W/")
    return header.strip() == "*" or any(
        part.strip().removeprefix("W/") == wanted for part in header.split(",")
    )
