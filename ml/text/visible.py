"""Text in a line that a person reads: a terminal, a log, an alert, a page.

Here: making characters visible that would act instead of being seen. Not here: the rules of a markup
(`ml.text.markdown`) or a picture (`ml.text.plot`), which start from this.
"""

from __future__ import annotations

import unicodedata

# Control (escape sequences, line ends), format (bidirectional overrides, invisible marks), surrogates, line and
# paragraph separators.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The joiners hold emoji and several scripts together, and move nothing.
_KEPT = frozenset("\u200c\u200d")


def shortened(text: str, longest: int) -> str:
    """The text, cut to so many characters; what was cut ends in an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with every character that acts written as its escape, as in `\x1b` or `\u202e`.

    Args:
        text: Any text.
        lines: Whether line ends and tabs stay, for a text of several lines of our own.
    """
    if text.isprintable():
        return text
    kept = _KEPT | {"\n", "\t"} if lines else _KEPT
    return "".join(
        character
        if character in kept or unicodedata.category(character) not in _ACTING
        else character.encode("unicode_escape").decode()
        for character in text
    )
