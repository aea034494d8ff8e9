"""The key of an incident about something that has a name.

Here: making it. Not here: incidents (`orchestration.alerts.outbox`).
"""

from __future__ import annotations

import re

from ml.text.visible import visible

_ENCODED = re.compile(r"%[0-9A-F]{2}")


def incident_key(scope: str, name: str) -> str:
    """`scope/name` on one line: control characters are percent-encoded, and so is what is already encoded."""
    if visible(name) == name and not _ENCODED.search(name):
        return f"{scope}/{name}"
    return f"{scope}/{''.join(map(_encoded, name))}"


def _encoded(character: str) -> str:
    if character != "%" and visible(character) == character:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
