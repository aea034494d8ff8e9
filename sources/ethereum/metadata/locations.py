"""Where a token says that its metadata is: in the text itself, or at addresses.

Here: reading `tokenURI` and `uri` (EIP-721, EIP-1155, RFC 2397, IPFS, Arweave). Not here: fetching
(`sources.ethereum.metadata.web`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

_CID = r"(?:Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58,}|z[1-9A-HJ-NP-Za-km-z]{48,}|f[0-9a-f]{60,})"
_IPFS = re.compile(rf"(?:ipfs://(?:ipfs/)*|(?:https?://[^/\s]+)?/?ipfs/)?({_CID}(?:[/?#].*)?)", re.DOTALL)
_IPFS_HOST = re.compile(rf"https?://({_CID})\.ipfs\.[^/\s]+(/.*)?", re.DOTALL)
_ARWEAVE = re.compile(r"ar://([A-Za-z0-9_-]{43}(?:/.*)?)", re.DOTALL)
_DATA = re.compile(r"data:([^,]*?)(;\s*base64)?\s*,(.*)", re.DOTALL | re.IGNORECASE)
_IN_PATH = "/:@!$&'()*+,;=-._~%?"


class UnreadableMetadataError(ValueError):
    """What a token says of itself cannot be used; the message has what was expected and found."""


@dataclass(frozen=True)
class Gateways:
    """Servers for addresses that name a content, not a place; each an address without a slash at its end.

    Attributes:
        ipfs: Gateways of IPFS, the preferred first.
        arweave: Gateways of Arweave.
    """

    ipfs: tuple[str, ...] = ()
    arweave: tuple[str, ...] = ()


def with_id(uri: str, token_id: int) -> str:
    """An address of EIP-1155 for one token: `{id}` is 64 hex digits in lower case."""
    return uri.replace("{id}", f"{token_id:064x}")


def located(uri: str, gateways: Gateways) -> bytes | Sequence[str]:
    """The document itself, or the addresses to ask for it, the preferred first.

    Raises:
        UnreadableMetadataError: It is neither.
    """
    uri = uri.strip().strip("\0").strip()
    if uri[:5].lower() == "data:":
        return _inline(uri)
    if uri[:1] in ("{", "["):
        return uri.encode("utf-8", "surrogatepass")
    if (found := _IPFS.fullmatch(uri)) is not None:
        return _at(gateways.ipfs, "ipfs/" + found.group(1))
    if (found := _IPFS_HOST.fullmatch(uri)) is not None:
        return _at(gateways.ipfs, f"ipfs/{found.group(1)}{found.group(2) or ''}")
    if (found := _ARWEAVE.fullmatch(uri)) is not None:
        return _at(gateways.arweave, found.group(1))
    if re.match(r"https?://[^/\s]", uri, re.IGNORECASE):
        return (uri,)
    raise UnreadableMetadataError(
        f"expected an address (data:, http(s)://, ipfs:// or ar://), found {uri[:100]!r}"
    )


def _at(gateways: Sequence[str], path: str) -> Sequence[str]:
    if not gateways:
        raise UnreadableMetadataError("expected a gateway in the settings, found none")
    # A number sign is part of a file's name here.
    return [f"{gateway}/{quote(path, safe=_IN_PATH + '/')}" for gateway in gateways]


def _inline(uri: str) -> bytes:
    found = _DATA.fullmatch(uri)
    if found is None:
        raise UnreadableMetadataError(f"expected data:TYPE,CONTENT, found {uri[:100]!r}")
    _, is_base64, content = found.groups()
    if not is_base64:
        # Many contracts write JSON as it is, where RFC 2397 wants percent signs to begin an escape.
        unescaped = unquote_to_bytes(content)
        return content.encode("utf-8", "surrogatepass") if _is_plain(content) else unescaped
    letters = re.sub(rb"\s+", b"", unquote_to_bytes(content)).translate(bytes.maketrans(b"-_", b"+/"))
    letters = letters.rstrip(b"=")
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except binascii.Error as error:
        raise UnreadableMetadataError(f"expected base64 after data:…;base64, found {error}") from None


def _is_plain(content: str) -> bool:
    """Whether a content has no escapes: each percent sign stands for itself."""
    return re.search(r"%[0-9A-Fa-f]{2}", content) is None
