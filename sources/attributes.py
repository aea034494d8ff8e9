"""Attributes of tokens as people write them: lists of types and values, or one object of both.

Here: from a parsed document to texts of types and values. Not here: parsing (`sources.files.long_rows`,
`sources.ethereum.metadata.documents`).
"""

from __future__ import annotations

import json
from typing import Any

TYPE_NAMES = ("trait_type", "traitType", "key", "trait", "name", "attribute", "type", "property")
VALUE_NAMES = ("value", "trait_value", "traitValue", "val", "attribute_value")


def first_of(item: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these entries that is there and not null."""
    return next((item[n] for n in names if item.get(n) is not None), None)


def text_of(value: Any) -> str | None:
    """A value as text: whole numbers without a point, truth in lower case; None for null and not-a-number."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, int | float)
        else json.dumps(value)
    )
