"""What every HTTP client of a source does alike: pauses, limits of rate, and what is never shown.

Here: the parts that JSON-RPC (`sources.ethereum.rpc`) and paged APIs (`sources.web_api.client`) share. Not here: which
question is asked again, and of whom.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

ATTEMPTS = 5
"""Times that a question is asked before it is given up."""

LONGEST_PAUSE_S = 60.0
"""No single pause is longer."""

_FIRST_PAUSE_S = 0.5
_CONNECT_S = 10


class BusyError(Exception):
    """The other side asks for a pause, or does not answer; the text holds no address and no key.

    Attributes:
        pause_s: Seconds that it asks to wait; None: it does not say.
        permanent: Whether asking again cannot help.
    """

    def __init__(self, problem: str, pause_s: float | None = None, *, permanent: bool = False) -> None:
        super().__init__(problem)
        self.pause_s = pause_s
        self.permanent = permanent


class Pace:
    """At most so many requests in a second to one host. Safe to use from several threads."""

    def __init__(self, requests_per_second: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """0: no limit."""
        self._gap_s = 1 / requests_per_second if requests_per_second else 0.0
        self._sleep = sleep
        self._next_slot = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for the next free slot."""
        if not self._gap_s:
            return
        with self._lock:
            now = time.monotonic()
            slot = max(self._next_slot, now)
            self._next_slot = slot + self._gap_s
        if slot > now:
            self._sleep(slot - now)


def pause_s(failures: int, asked: float | None) -> float:
    """Seconds until the next attempt: as the other side asks, else longer with each failure in a row."""
    growing = _FIRST_PAUSE_S * 2 ** min(failures - 1, 7)
    return min(growing if asked is None else asked, LONGEST_PAUSE_S)


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server asks to wait. A date is measured against the server's own clock."""
    stated = answer.headers.get("retry-after", "")
    try:
        seconds = float(stated)
    except ValueError:
        pass
    else:
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    until, now = _date(stated), server_time(answer)
    return None if until is None or now is None else max((until - now).total_seconds(), 0.0)


def server_time(answer: httpx.Response) -> datetime | None:
    """The server's clock (UTC, naive) when it answered; None: it does not say."""
    return _date(answer.headers.get("date", ""))


def keep_addresses_out_of_logs() -> None:
    """The HTTP client writes no address into a log: it may hold a key."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def http_client(urls: Iterable[str], timeout_s: float) -> httpx.Client:
    """A client that follows no redirect and writes no address into a log."""
    keep_addresses_out_of_logs()
    # The certificates take longer to load than a server on this machine to answer.
    return httpx.Client(
        timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
        follow_redirects=False,
        verify=any(url.lower().startswith("https:") for url in urls),
    )


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, TypeError, OverflowError):
        return None
