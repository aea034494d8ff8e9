"""The key of an incident about something that has a name. Here: making and reading it. Not here: incidents (`outbox`).

A key is words with slashes between them, on one line, and a name may hold both.
"""

from __future__ import annotations

from urllib.parse import unquote

from ml.text.visible import visible


def incident_key(scope: str, *names: str) -> str:
    """`scope/name`, with slashes, percent signs and what acts on a terminal in a name percent-encoded."""
    return "/".join([scope, *map(_encoded, names)])


def named_in(key: str) -> str:
    """The last name of a key."""
    return unquote(key.rpartition("/")[2])


def _encoded(name: str) -> str:
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
        if character in "/%" or visible(character) != character
        else character
        for character in name
    )
