"""Commands for a reader to type.

Here: one line for a shell. Not here: where they are shown (`orchestration.alerts`, `orchestration.checks`).
"""

from __future__ import annotations

import shlex

from ml.text.visible import visible


def assay_command(command: str, *names: str, **options: str) -> str:
    r"""A line that can be pasted into a shell and means these names, whatever they hold.

    Args:
        command: The subcommand.
        names: Its arguments.
        options: `reason="…"` becomes `--reason …`.
    """
    flags = [word for name, value in options.items() for word in (f"--{name}", _quoted(value))]
    given = [_quoted(name) for name in names]
    if any(name.startswith("-") for name in names):
        return " ".join(["assay", command, *flags, "--", *given])
    return " ".join(["assay", command, *given, *flags])


def _quoted(word: str) -> str:
    r"""The word for a POSIX shell; with `$'\033'` for what must not reach a terminal as it is."""
    if visible(word) == word:
        return shlex.quote(word)
    shown = "".join(
        "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "replace"))
        if visible(character) != character
        else f"\\{character}"
        if character in "\\'"
        else character
        for character in word
    )
    return f"$'{shown}'"
