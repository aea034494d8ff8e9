"""Text on a Markdown page: the accuracy report, and what Dagster's UI shows.

Here: text and tables of text that is not ours, and descriptions that are. Not here: pages (`ml.accuracy.pages`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ml.text.visible import visible

if TYPE_CHECKING:
    import pandas as pd

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~$#])")
# Numbered lists, bullets and rules begin a line.
_BEGINNING = re.compile(r"^(\s*)([-+=](?=[\s=-]|$)|\d{1,9}[.)](?=\s|$))")
_CODE = re.compile(r"(`[^`]*`)")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def markdown_text(text: str) -> str:
    """The text as Markdown shows it literally, in a paragraph, a list or a table: no markup, no HTML, one line."""
    escaped = _SPECIAL.sub(r"\\\1", visible(text).translate(_ENTITIES))
    return _BEGINNING.sub(lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", escaped)


def markdown_prose(text: str) -> str:
    """A description of ours as Markdown shows it: its `code` stays code, and `<name>` outside of it is no HTML."""
    pieces = _CODE.split(text)
    # Every second piece is a code span, whose text Markdown shows literally.
    return "".join(piece if at % 2 else piece.translate(_ENTITIES) for at, piece in enumerate(pieces))


def markdown_table(frame: pd.DataFrame) -> str:
    """The rows as a Markdown table, every text in it literally; empty without rows."""
    if frame.empty:
        return ""
    shown = frame.map(lambda value: markdown_text(value) if isinstance(value, str) else value)
    shown.columns = [markdown_text(str(name)) for name in frame.columns]
    # A name of digits is still a name.
    return str(shown.to_markdown(index=False, disable_numparse=True))
