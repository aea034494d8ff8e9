"""From a token's metadata to its traits (ERC-721 and ERC-1155 metadata JSON, and the display types of marketplaces).

Here: what a document states, or why it cannot be used. Not here: getting it (`sources.ethereum.metadata.web`).

A value is kept as text. `display_type: date` is a day in UTC. A trait without a type is called `property`, as
marketplaces show it. A list of values is one trait with several rows. What has no meaning as a trait (objects inside
values, texts longer than a page) makes the document unreadable: half of a token's traits would be a wrong token.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from sources.attributes import TYPE_NAMES, VALUE_NAMES, first_of, text_of
from sources.ethereum.metadata.locations import UnreadableMetadataError

Traits = tuple[tuple[str, str | None], ...]
"""(type, value) in the order of the document; value None: the token lacks the trait."""

MOST_TRAITS = 500
LONGEST_TEXT = 1000
"""Characters of a type or value."""
_UNNAMED = "property"
_LATEST_DATE_S = 253_402_300_800  # the year 10,000


def traits_of(document: bytes) -> Traits:
    """The traits that a document states; none where it has no attributes.

    Raises:
        UnreadableMetadataError: It is no metadata.
    """
    stated = _parsed(document)
    if not isinstance(stated, dict):
        raise UnreadableMetadataError(f"expected a JSON object, found {_kind(stated)}")
    attributes = next((stated[k] for k in ("attributes", "traits") if stated.get(k) is not None), None)
    if attributes is None:
        # ERC-1155 names them properties; only an object of single values is a list of traits.
        properties = stated.get("properties")
        plain = isinstance(properties, dict) and not any(
            isinstance(v, list | dict) for v in properties.values()
        )
        attributes = properties if plain else None
    if isinstance(attributes, str):
        attributes = _parsed(attributes.encode("utf-8")) if attributes.strip() else None
    traits = tuple(dict.fromkeys(_traits(attributes)))
    if len(traits) > MOST_TRAITS:
        raise UnreadableMetadataError(f"expected at most {MOST_TRAITS} traits, found {len(traits)}")
    return traits


def _parsed(document: bytes) -> Any:
    try:
        document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableMetadataError(f"expected UTF-8, found {error.reason} at byte {error.start}") from None
    try:
        return from_json(document.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise UnreadableMetadataError(
            f"expected JSON, found {str(error)[:100]}: {document[:40].decode('utf-8', 'replace')!r}"
        ) from None


def _traits(attributes: Any) -> Iterator[tuple[str, str | None]]:
    if attributes is None:
        return
    if isinstance(attributes, dict):
        for kind, value in attributes.items():
            yield from _trait(kind, value, None)
        return
    if not isinstance(attributes, list):
        raise UnreadableMetadataError(f"expected a list of attributes, found {_kind(attributes)}")
    for item in attributes:
        if isinstance(item, dict):
            if not item:
                continue
            yield from _trait(
                first_of(item, TYPE_NAMES), first_of(item, VALUE_NAMES), item.get("display_type")
            )
        elif isinstance(item, list):
            raise UnreadableMetadataError("expected attributes with a type and a value, found a list")
        elif item is not None:
            yield from _trait(None, item, None)


def _trait(kind: Any, value: Any, display: Any) -> Iterator[tuple[str, str | None]]:
    if isinstance(kind, list | dict):
        raise UnreadableMetadataError(f"expected a text as the type of a trait, found {_kind(kind)}")
    name = (text_of(kind) or "").strip() or _UNNAMED
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, list | dict):
            raise UnreadableMetadataError(
                f"expected a text or a number as the value of {name[:50]!r}, found {_kind(one)}"
            )
        if isinstance(one, float) and one in (float("inf"), float("-inf")):
            raise UnreadableMetadataError(f"expected a finite number as the value of {name[:50]!r}")
        text = _day(one) if display == "date" else text_of(one)
        text = None if text is None else text.strip() or None
        if len(name) > LONGEST_TEXT or len(text or "") > LONGEST_TEXT:
            raise UnreadableMetadataError(
                f"expected types and values of at most {LONGEST_TEXT} characters, found {len(name)} and "
                f"{len(text or '')}"
            )
        if text is None and name == _UNNAMED:
            continue
        yield name, text


def _day(value: Any) -> str | None:
    """A Unix time, in seconds or milliseconds, as a day; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return text_of(value)
    seconds = value / 1000 if abs(value) >= 1e11 else value
    if not 0 <= seconds < _LATEST_DATE_S:
        return text_of(value)
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
