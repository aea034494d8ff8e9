"""How a picture of the report is made: one style, no timestamp, no outside resource, a text inside.

Here: colours, the sheet, the SVG's bytes. Not here: what is drawn (`ml.accuracy.plots`).

Concept: a figure stands on a page whose background we do not know. Every colour has a contrast of at least 3.5 to
white and to near-black, and nothing is filled behind the axes. Text stays text: smaller, searchable, readable aloud.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ml.text.visible import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MODEL_COLOUR, RIVAL_COLOUR, GREEN, VIOLET = "#727a85", "#3f7ae0", "#c2571a", "#2b8a57", "#8a63d2"

Axes = Any
"""matplotlib's axes; typed loosely because its stubs know less than its keywords."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Plot:
    """A finished picture: file name without ending, text alternative, SVG source."""

    name: str
    title: str
    alt: str
    svg: str


@dataclass
class Sheet:
    """A figure being drawn; `axes` is the first of its panels."""

    name: str
    title: str
    figure: Figure
    panels: list[Axes]

    @property
    def axes(self) -> Axes:
        """The first panel."""
        return self.panels[0]

    def plain_ticks(self) -> None:
        """Write 20 and not 2·10¹ on log axes."""
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        for axis in (self.axes.xaxis, self.axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())

    def plot(self, alt: str) -> Plot:
        """The picture with its text, the same bytes for the same figures."""
        import matplotlib as mpl

        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with mpl.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            self.figure.savefig(buffer, format="svg", metadata=nothing)
        return Plot(self.name, self.title, alt, _accessible(buffer.getvalue(), self.name, self.title, alt))


@contextmanager
def drawing(name: str, title: str, *, panels: int = 1, square: bool = False) -> Iterator[Sheet]:
    """A sheet in the report's style; an axes that stays empty shows "no figures"."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 4.2) if square else (7.2, 3.3), layout="constrained")
        made = figure.subplots(1, panels)
        sheet = Sheet(name, title, figure, list(made) if panels > 1 else [made])
        sheet.axes.set_title(title)
        yield sheet
        for axes in sheet.panels:
            if not axes.has_data():
                axes.text(0.5, 0.5, "no figures", ha="center", transform=axes.transAxes)


def _accessible(source: str, name: str, title: str, alt: str) -> str:
    """The SVG without prologue and metadata, its ids its own, with title and description."""
    source = source[source.index("<svg") :]
    source = re.sub(r"<metadata>.*?</metadata>\s*", "", source, flags=re.DOTALL)
    source = re.sub(r'((?:\bid=|href=)"#?|url\(#)', rf"\g<1>{name}-", source)
    head, tail = source.split(">", 1)
    label = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    return (
        f'{head} {label}>\n <title id="{name}-title">{escape(visible(title))}</title>\n'
        f' <desc id="{name}-desc">{escape(visible(alt))}</desc>{tail}'
    )
