"""Documents from the web, within limits of size and time, from public addresses only.

Here: asking the addresses of one document in turn. Not here: which addresses are public
(`sources.ethereum.metadata.addresses`).
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Collection, Sequence

import httpx

from sources.ethereum.metadata.addresses import PrivateAddressError, PublicTransport
from sources.ethereum.metadata.locations import UnreadableMetadataError
from sources.web_api.transport import keep_addresses_out_of_logs

MOST_BYTES = 2_000_000
"""Bytes of one document, at most: some contracts put a whole picture into it."""
_MOST_REDIRECTS = 5
_FAILURES_OF_A_HOST = 5
_GONE = (404, 410)


class UnreachableError(Exception):
    """No server gives the document now; it is asked for again later."""


class Web:
    """Documents from the web. Safe to use from several threads."""

    def __init__(
        self,
        *,
        allowed: Collection[str] = (),
        timeout_s: float = 20,
        most_bytes: int = MOST_BYTES,
        connections: int = 8,
    ) -> None:
        """Open nothing yet.

        Args:
            allowed: Hosts that may be private (`PublicTransport`).
            timeout_s: Seconds for one document of one server, redirects included.
            most_bytes: Bytes of a document, at most.
            connections: Connections at a time.
        """
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._allowed = allowed
        self._limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self.requests = 0
        keep_addresses_out_of_logs()

    def document(self, addresses: Sequence[str]) -> bytes:
        """The content of the first address that answers.

        Raises:
            UnreachableError: None answers now.
            UnreadableMetadataError: The address must not be asked, or the content is too large.
        """
        problems = []
        for address in addresses:
            try:
                url = httpx.URL(address)
                if self._failures.get(url.host, 0) >= _FAILURES_OF_A_HOST:
                    problems.append(f"{url.host}: did not answer {_FAILURES_OF_A_HOST} times in a row")
                    continue
                return self._get(url)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
                raise UnreadableMetadataError(
                    f"expected an address of the web, found {address[:100]!r}: {error}"
                ) from None
            except PrivateAddressError as error:
                raise UnreadableMetadataError(str(error)) from None
            except httpx.TooManyRedirects:
                problems.append(f"more than {_MOST_REDIRECTS} redirects")
            except httpx.HTTPError as error:
                problems.append(f"{url.host}: {type(error).__name__}")
                self._failed(url.host)
            except UnreachableError as error:
                problems.append(f"{url.host}: {error}")
        raise UnreachableError("; ".join(problems) or "no address")

    def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            self._client.close()

    def _get(self, url: httpx.URL) -> bytes:
        ends = time.monotonic() + self._timeout_s
        with self._lock:
            self.requests += 1
        with self._opened().stream("GET", url) as answer:
            if answer.status_code != 200:
                if answer.status_code not in _GONE:
                    self._failed(url.host)
                raise UnreachableError(f"HTTP {answer.status_code}")
            content = bytearray()
            for chunk in answer.iter_raw():  # pieces as they come, so that the time is kept
                content += chunk
                self._keep_size(content)
                if time.monotonic() > ends:
                    self._failed(url.host)
                    raise UnreachableError(f"not read within {self._timeout_s:.0f} s")
            encoding = answer.headers.get("content-encoding", "identity").lower()
        self._failures.pop(url.host, None)
        return self._plain(bytes(content), encoding)

    def _plain(self, content: bytes, encoding: str) -> bytes:
        """A content as it was before a server compressed it, though none was asked to."""
        if encoding == "identity":
            return content
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise UnreachableError(f"expected no compression, found {encoding[:30]}")
        try:
            plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, self._most_bytes + 1)
        except zlib.error as error:
            raise UnreachableError(f"expected {encoding}, found {error}") from None
        self._keep_size(plain)
        return plain

    def _keep_size(self, content: bytes | bytearray) -> None:
        if len(content) > self._most_bytes:
            raise UnreadableMetadataError(f"expected at most {self._most_bytes} bytes, found more")

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                # Certificates take a while to load, and no proxy of the environment may go round the judging.
                inner = httpx.HTTPTransport(limits=self._limits, trust_env=False)
                self._client = httpx.Client(
                    transport=PublicTransport(inner, self._allowed),
                    timeout=httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, 10)),
                    follow_redirects=True,
                    max_redirects=_MOST_REDIRECTS,
                    trust_env=False,
                    headers={"user-agent": "assay", "accept": "application/json, */*;q=0.5"}
                    | {"accept-encoding": "identity"},
                )
            return self._client

    def _failed(self, host: str) -> None:
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1
