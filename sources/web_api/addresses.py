"""Addresses of HTTP servers, as far as they may be shown. Not here: asking them (`sources.web_api.transport`)."""

from __future__ import annotations

from urllib.parse import urlsplit


def host_of(url: str) -> str | None:
    """Host and port of an address of HTTP, without what may be a key; None when it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or parts.scheme not in ("http", "https"):
        return None
    return f"{host}:{port}" if port else host
