"""Text in a picture drawn by matplotlib. Here: titles, labels and legends from names. Not here: drawing."""

from __future__ import annotations

from ml.text.visible import shortened, visible

LONGEST = 60
"""Characters of a label beyond which it would cover the picture."""


def plot_text(text: str, longest: int = LONGEST) -> str:
    """The text as matplotlib shows it literally, cut to a length.

    Dollars would begin mathematics, and a label that begins with an underscore is left out of the legend.
    """
    shown = shortened(visible(text), longest)
    if shown.startswith("_"):
        shown = f" {shown}"
    return shown.replace("$", r"\$")
