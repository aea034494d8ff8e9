"""Text in a cell of a CSV file, which a spreadsheet opens and a terminal prints. Here: one cell. Not here: the file."""

from __future__ import annotations

import unicodedata

from ml.text.visible import visible

_FORMULA = frozenset("=+-@|%")
"""First characters that one spreadsheet or another takes for the beginning of a formula or of a command."""


def spreadsheet_cell(text: str) -> str:
    r"""The text as a spreadsheet shows it literally: no formula, no line end, no character that acts.

    Returns:
        Ordinary text as it is. What a spreadsheet could run, also behind blanks or in full-width letters, gets an
        apostrophe in front, which marks it as text.
    """
    shown = visible(text)
    first = unicodedata.normalize("NFKC", shown).lstrip()[:1]
    return f"'{shown}" if first in _FORMULA and first else shown
