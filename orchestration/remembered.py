"""What a home remembers of the market it was made for.

Here: reading it, for settings that a command does not state. Not here: the settings (`orchestration.settings`), or
writing it (`orchestration.home`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from orchestration.errors import HomeError

MARKET_FILE = "market.json"


def read_market(path: Path) -> dict[str, Any]:
    """What a home remembers of its market.

    Raises:
        HomeError: The file is damaged.
    """
    try:
        # Not a dictionary: a ValueError or TypeError.
        held = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise HomeError(
            f"Expected {path} to name the market of this home, found a damaged file ({error}); take it from a backup, "
            "or remove it and run `assay run` once with the options that the home was made with: nothing else is lost "
            "(docs/runbook/home-damaged.md)."
        ) from error
    return held


def remembered_by_home(given: dict[str, object], prefix: str) -> dict[str, object]:
    """The market of the home that is meant, without what an option or a variable sets.

    Args:
        given: Settings by name that options have set.
        prefix: What names of environment variables begin with.
    """
    from sources.configuration import KINDS

    def stated(name: str) -> object:
        return given.get(name) or os.environ.get(prefix + name.upper())

    if stated("sources"):
        return {}
    kind = KINDS.get(str(stated("source") or "simulator"))
    home = stated("home") or (kind.home if kind else None)
    held = Path(str(home)).expanduser() / MARKET_FILE
    if home is None or not held.exists():
        return {}
    remembered = read_market(held)
    if "sources" in remembered:
        remembered["sources"] = held.parent / remembered["sources"]
        # The home of a command that names neither; a relative path in it is relative to the home.
        return {"home": held.parent, **remembered}
    return {name: value for name, value in remembered.items() if prefix + name.upper() not in os.environ}
