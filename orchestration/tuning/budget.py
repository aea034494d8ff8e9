"""What a user asks of tuning, from text. Here: durations and levels. Not here: studies (`tuning.study`)."""

from __future__ import annotations

import re
from typing import Literal, get_args

from orchestration.errors import HomeError

Level = Literal["pooled", "collections", "all"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """A duration such as 90, 90s, 10m or 1.5h in seconds.

    Raises:
        HomeError: Anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise HomeError(f"expected a duration such as 90s, 10m or 1h, found {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def level_of(text: str) -> Level:
    """What to tune, from an option or a config.

    Raises:
        HomeError: Not one of the three.
    """
    for level in get_args(Level):
        if text == level:
            return level
    raise HomeError(f"expected pooled, collections or all, found {text!r}")
