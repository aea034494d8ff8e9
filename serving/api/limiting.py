"""Limits of requests: so many in a window of time for each key, or for each address without one.

Here: counting, alone or by `limits` with others. Not here: who asks (`gate`).

Concept: several processes count together in a Redis. While it cannot be reached, each counts in its own memory: a limit
is then that of one process, and no request fails for it.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

SHARED_LIMIT_S = 0.5
"""Seconds to wait for the shared storage; requests are held up meanwhile."""

RETRY_S = 5.0
"""Seconds for which a shared storage that failed is not asked."""

SWEEP_S = 10.0
"""Seconds between two removals of counts whose window is over."""

_log = logging.getLogger("assay.api")


class LimitError(ValueError):
    """A limit or the address of its storage cannot be used."""


class Limiter:
    """Counts requests in fixed windows.

    Args:
        key_limit: For each key that has no limit of its own.
        anonymous_limit: For each address without a key.
        url: Storage that several processes share; empty: this process's memory.
        clock: Seconds of a clock that only goes forward.

    Raises:
        LimitError: One of them cannot be read.
    """

    def __init__(
        self, key_limit: str, anonymous_limit: str, url: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._key, self._anonymous = _windows(key_limit), _windows(anonymous_limit)
        self._own: dict[str, _Windows | None] = {}
        self._shared = FixedWindowRateLimiter(_storage(url)) if url else None
        self._retry_at = 0.0

    def wait_of_key(self, key_id: str, own_limit: str) -> float | None:
        """Count a request of a key; seconds to wait when it is one too many, else None."""
        if not own_limit:
            return self._wait(self._key, key_id)
        if own_limit not in self._own:
            self._own[own_limit] = _windows(own_limit)
        return self._wait(self._own[own_limit], key_id)

    def wait_of_address(self, address: str) -> float | None:
        """Count a request without a key; seconds to wait when it is one too many, else None."""
        return self._wait(self._anonymous, address if ":" not in address else _network(address))

    def _wait(self, alone: _Windows | None, who: str) -> float | None:
        if alone is None:
            return None
        if self._shared is not None and self._clock() >= self._retry_at:
            try:
                if self._shared.hit(alone.limit, who):
                    return None
                return max(0.0, self._shared.get_window_stats(alone.limit, who).reset_time - time.time())
            except StorageError as error:
                _log.warning(
                    "requests are counted by each process alone: the storage of limits cannot be used (%s)",
                    type(error.storage_error).__name__,
                )
                self._retry_at = self._clock() + RETRY_S
        return alone.wait(who)


def parse_limit(text: str) -> RateLimitItem | None:
    """A limit such as "100/second" or "6000/minute"; None for an empty text, which is no limit.

    Raises:
        LimitError: It is no limit.
    """
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise LimitError(
            f'expected a limit such as "100/second" or "6000/minute", or nothing for none, found {text!r}'
        ) from error


class _Windows:
    """Counts of one limit in this process. The memory of `limits` starts a thread for a hit and costs several look-ups.

    Args:
        limit: So many in a window of so many seconds.
    """

    def __init__(self, limit: RateLimitItem) -> None:
        self.limit = limit
        self._amount, self._length = limit.amount, limit.get_expiry()
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = 0.0

    def wait(self, who: str) -> float | None:
        """Count a request; seconds until its window is over when it is one too many, else None."""
        now = time.time()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._counts = {key: count for key, count in self._counts.items() if count[1] > now}
        count, ends = self._counts.get(who, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + self._length
        self._counts[who] = (count + 1, ends)
        return None if count < self._amount else ends - now


def _windows(text: str) -> _Windows | None:
    limit = parse_limit(text)
    return None if limit is None else _Windows(limit)


def _storage(url: str) -> Storage:
    patience = {"socket_timeout": SHARED_LIMIT_S, "socket_connect_timeout": SHARED_LIMIT_S}
    options = patience if url.startswith("redis") else {}
    try:
        return storage_from_string(url, wrap_exceptions=True, **options)  # type: ignore
    except Exception as error:  # noqa: BLE001 - limits raises many kinds, and the address may hold a password
        raise LimitError(
            "expected an address of a storage of `limits` such as redis://host:6379, found one that cannot be used "
            f"({type(error).__name__}); its client may be missing (`pip install redis`)"
        ) from None


def _network(address: str) -> str:
    """An IPv6 customer has a /64 at least, so that is what is counted."""
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
