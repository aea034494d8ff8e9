"""Values inside a JSON document, named by paths such as `payment.token.symbol`.

Here: following a path, and a value as text. Not here: what the text means (`sources.values`).
"""

from __future__ import annotations

import json
from typing import Any


def at(document: Any, path: str) -> Any:
    """The value at a path; None when there is none.

    The parts of a path are keys, or positions in a list; `*` is the first value that is a list. Of several paths,
    separated by `|`, the first with a value counts. The empty path is the document itself.
    """
    for one in path.split("|"):
        found = document
        for part in one.split(".") if one else ():
            found = _step(found, part)
        if found is not None:
            return found
    return None


def _step(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        if part == "*":
            return next((v for v in value.values() if isinstance(v, list)), None)
        return value.get(part)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return None


def text_at(document: Any, path: str) -> str | None:
    """The value at a path as text; what is neither text nor a number is its JSON, for the rules to refuse."""
    value = at(document, path)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    # Half of a surrogate pair is no character: no table keeps it.
    return text.encode("utf-8", "replace").decode("utf-8")
