"""What is wrong with the settings, in words.

Here: an unknown variable, and values that are not allowed. Not here: the settings (`orchestration.settings`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING

from orchestration.output.masking import SECRET_VARIABLES

if TYPE_CHECKING:
    from pydantic import ValidationError


def unknown_variable(prefix: str, known: Set[str], hidden: Set[str]) -> str | None:
    """The first variable of the environment that is no setting, with what was probably meant; None without one.

    Args:
        prefix: What variables of settings begin with.
        known: All variables that are read.
        hidden: Those of them that are not named.
    """
    for name in sorted(os.environ):
        # Variables with a second prefix (ASSAY_LAKE_*) are set by Assay itself for dbt.
        if name.startswith(prefix) and name not in known and not name.startswith(f"{prefix}LAKE_"):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            return f"{name} is not a setting{hint}\nAllowed: {', '.join(sorted(known - hidden))}"
    return None


def explain(error: ValidationError, prefix: str, about: Mapping[str, str]) -> str:
    """One line for each setting that is wrong: what was expected and found. Secrets are not shown.

    Args:
        error: What pydantic found.
        prefix: What variables of settings begin with.
        about: Setting → what it is.
    """
    lines = []
    for problem in error.errors():
        field = str(problem["loc"][0]) if problem["loc"] else ""
        name = prefix + field.upper()
        found = f" (found {problem['input']!r})" if field and name not in SECRET_VARIABLES else ""
        message = problem["msg"].removeprefix("Value error, ")
        described = f" — {about[field]}" if about.get(field) else ""
        # What concerns several settings names them itself.
        lines.append((f"{name}: {message}{found}" if field else message) + described)
    return "\n".join(lines)


def option_of_another_kind(kind: str, given: Iterable[str]) -> str | None:
    """What is wrong with options that only other kinds of source have; None if there are none.

    Variables may describe several markets; what is typed is meant, and must not be ignored.
    """
    from sources.configuration import kinds_with

    for name in given:
        kinds = kinds_with(name)
        if kinds and kind not in kinds:
            option = f"--{name.replace('_', '-')}"
            return (
                f"{option}: expected the source {' or '.join(kinds)}, found {kind}; leave {option} out, or add "
                f"--source {kinds[0]}"
            )
    return None
