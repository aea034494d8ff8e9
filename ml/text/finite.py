"""Numbers that JSON has: NaN and infinities are none."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """A document without NaN and infinities: they are null. Keys become text."""
    if isinstance(value, dict):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
