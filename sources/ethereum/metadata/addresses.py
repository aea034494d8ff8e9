"""Which addresses of the internet may be asked for metadata: public ones only.

Here: judging an address, and a transport of httpx that connects to addresses that were judged. Not here: what is asked
(`sources.ethereum.metadata.web`).

Anybody can write any address into a token. A name is resolved once, every address of it is judged, and the connection
goes to one of exactly these addresses: a name server that gives another answer a moment later changes nothing. A
redirect is a new request, so it is judged too.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

_NAT64 = ip_network("64:ff9b::/96")
_HOLD_V4_LAST = (_NAT64, ip_network("64:ff9b:1::/48"), ip_network("::/96"))
_PORTS = {"http": 80, "https": 443}


class PrivateAddressError(httpx.RequestError):
    """A name stands for an address that is not public; nothing was sent."""


class UnknownHostError(httpx.RequestError):
    """A name stands for no address."""


def is_public(address: str) -> bool:
    """Whether an IP address, as text, is one of the public internet.

    False for private, loopback, link-local, shared (100.64.0.0/10), reserved, multicast and unspecified addresses, also
    where an IPv6 address holds such an IPv4 address, and for what is no address.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    held = _held_by(found)
    # These two stand for the IPv4 address alone: a network without IPv4 reaches all of it so.
    stands_for_v4 = isinstance(found, IPv6Address) and (found.ipv4_mapped is not None or found in _NAT64)
    return all(_is_global(one) for one in (held if stands_for_v4 else (found, *held)))


def _is_global(found: IPv4Address | IPv6Address) -> bool:
    return found.is_global and not (
        found.is_multicast
        or found.is_reserved
        or found.is_unspecified
        or found.is_loopback
        or found.is_link_local
        or found.is_private
        or (isinstance(found, IPv6Address) and found.is_site_local)
    )


def _held_by(found: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address holds: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(found, IPv4Address):
        return []
    held = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if any(found in network for network in _HOLD_V4_LAST):
        held.append(IPv4Address(int(found) & 0xFFFFFFFF))
    return [one for one in held if one is not None]


class PublicTransport(httpx.BaseTransport):
    """Sends requests to public addresses only, and to hosts that the user named."""

    def __init__(self, inner: httpx.BaseTransport, allowed: Collection[str] = ()) -> None:
        """Wrap a transport.

        Args:
            inner: Sends the requests.
            allowed: Hosts that may be private: `host` (ports 80 and 443) or `host:port`, lower case.
        """
        self._inner = inner
        self._allowed = frozenset(allowed)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to an address that was judged.

        Raises:
            PrivateAddressError: The host has an address that is not public.
            UnknownHostError: The host has no address.
        """
        if request.url.scheme not in _PORTS:
            raise httpx.UnsupportedProtocol(f"expected http or https, found {request.url.scheme}")
        host = request.url.host
        if not self._is_allowed(request.url):
            # The server must see the name, and TLS must prove it: only the connection goes to the address.
            request.headers.setdefault("host", request.url.netloc.decode("ascii"))
            request.extensions = {**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")}
            request.url = request.url.copy_with(host=_public_address(host, _port(request.url)))
        return self._inner.handle_request(request)

    def close(self) -> None:
        """End the connections."""
        self._inner.close()

    def _is_allowed(self, url: httpx.URL) -> bool:
        host = url.host.lower()
        return f"{host}:{_port(url)}" in self._allowed or (
            host in self._allowed and _port(url) in _PORTS.values()
        )


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS.get(url.scheme, 0)


def _public_address(host: str, port: int) -> str:
    """One address of a host, of which all are public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise UnknownHostError(f"expected a host with an address, found none for {host[:100]}") from None
    addresses = [str(entry[4][0]) for entry in found]
    private = [address for address in addresses if not is_public(address)]
    if private or not addresses:
        raise PrivateAddressError(f"expected a public address, found {host[:100]}")
    return next((a for a in addresses if ":" not in a), addresses[0])
