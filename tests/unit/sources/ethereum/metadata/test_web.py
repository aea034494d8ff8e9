"""No token makes this machine ask a private address, wait for ever, or hold a huge document."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sources.ethereum.metadata.addresses import PublicTransport, is_public
from sources.ethereum.metadata.locations import UnreadableMetadataError
from sources.ethereum.metadata.web import UnreachableError, Web
from tests.chain.pages import Pages, serving_pages

PRIVATE = (
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "0.1.2.3", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1",
    "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:7f00:1::",
    "", "localhost", "127.1", "0x7f000001", "2130706433",
)  # fmt: skip
GZIP: dict[str, Any] = {"content-encoding": "gzip"}
BROTLI: dict[str, Any] = {"content-encoding": "br"}
PUBLIC = ("1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serving_pages() as pages:
        yield pages


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "0", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1",
        "localhost", "LOCALHOST", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]",
        "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "user:secret@127.0.0.1", "1.1.1.1@127.0.0.1",
        "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_host_is_asked(pages: Pages, host: str) -> None:
    pages.put("/1", "{}")
    port = pages.host.partition(":")[2]
    with pytest.raises((UnreadableMetadataError, UnreachableError)):
        Web(timeout_s=2).document([f"http://{host}:{port}/1"])
    assert pages.asked == []


def test_a_host_that_the_user_named_is_asked_at_its_port_alone(pages: Pages) -> None:
    address = pages.put("/1", "{}")
    assert Web(allowed=[pages.host]).document([address]) == b"{}"
    with pytest.raises(UnreadableMetadataError, match="public address"):
        Web(allowed=["127.0.0.1"]).document([address])
    with pytest.raises(UnreadableMetadataError, match="public address"):
        Web(allowed=["127.0.0.1:1"]).document([address])


def test_a_redirect_to_a_private_address_is_not_followed(pages: Pages) -> None:
    with serving_pages() as inner:
        secret = inner.put("/secret", "{}")
        address = pages.put("/1", "", 302, location=secret)
        with pytest.raises(UnreadableMetadataError, match="public address"):
            Web(allowed=[pages.host]).document([address])
        assert inner.asked == []
        for target in ("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/"):
            with pytest.raises((UnreadableMetadataError, UnreachableError)):
                Web(allowed=[pages.host]).document([pages.put("/2", "", 302, location=target)])


def test_the_connection_goes_to_the_address_that_was_judged_and_the_server_sees_the_name() -> None:
    sent: list[httpx.Request] = []

    class Kept(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200, content=b"{}")

    with httpx.Client(transport=PublicTransport(Kept())) as client:
        client.get("https://8.8.8.8/x?y=1")
    (request,) = sent
    assert request.url.host == "8.8.8.8"
    assert request.headers["host"] == "8.8.8.8"
    assert request.extensions["sni_hostname"] == "8.8.8.8"


def test_endless_redirects_end(pages: Pages) -> None:
    address = pages.put("/1", "", 302, location="/1")
    with pytest.raises(UnreachableError, match="redirects"):
        Web(allowed=[pages.host]).document([address])
    assert len(pages.asked) == 6


def test_a_document_that_is_too_large_or_too_slow_is_not_held(pages: Pages) -> None:
    large = pages.put("/large", b"x" * 200_000)
    slow = pages.put("/slow", b"x" * 1000, drip="0.02")
    with pytest.raises(UnreadableMetadataError, match="at most 100000 bytes"):
        Web(allowed=[pages.host], most_bytes=100_000).document([large])
    with pytest.raises(UnreachableError, match="not read within"):
        Web(allowed=[pages.host], timeout_s=0.2).document([slow])


def test_a_compressed_document_is_read_but_not_one_that_grows_beyond_the_limit(pages: Pages) -> None:
    small = pages.put("/1", gzip.compress(b"{}"), **GZIP)
    bomb = pages.put("/2", gzip.compress(b"x" * 50_000_000), **GZIP)
    broken = pages.put("/3", b"{}", **GZIP)
    strange = pages.put("/4", b"{}", **BROTLI)
    web = Web(allowed=[pages.host], most_bytes=100_000)
    assert web.document([small]) == b"{}"
    with pytest.raises(UnreadableMetadataError, match="at most 100000 bytes"):
        web.document([bomb])
    for address in (broken, strange):
        with pytest.raises(UnreachableError):
            web.document([address])


def test_the_next_gateway_is_asked_and_a_host_that_never_answers_is_left_alone(pages: Pages) -> None:
    good = pages.put("/good", "{}")
    bad = pages.put("/bad", "", 503)
    web = Web(allowed=[pages.host, "127.0.0.1:9"], timeout_s=2)
    assert web.document([bad, good]) == b"{}"
    for _ in range(10):
        with pytest.raises(UnreachableError):
            web.document(["http://127.0.0.1:9/1"])
    assert web.requests == 2 + 5


def test_no_proxy_of_the_environment_is_used(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{pages.host}")
    with pytest.raises(UnreadableMetadataError):
        Web(timeout_s=2).document(["http://10.1.2.3/1"])
    assert pages.asked == []


def test_a_server_that_ends_in_the_middle_is_asked_later() -> None:
    class Cut(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "100")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Cut)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    host = f"127.0.0.1:{server.server_port}"
    with pytest.raises(UnreachableError, match="RemoteProtocolError"):
        Web(allowed=[host]).document([f"http://{host}/1"])
    thread.join()
    server.server_close()
