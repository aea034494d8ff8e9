"""The report as pages: Markdown with SVG files next to it, one self-contained HTML page, JSON.

Here: markup and files. Not here: figures, words, drawing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.accuracy.content import sections
from ml.accuracy.plots import draw_plots
from ml.accuracy.provenance import Provenance
from ml.accuracy.svg import Plot
from ml.accuracy.tables import Section
from ml.text.markdown import markdown_text
from ml.text.visible import visible

_GUIDE = Path("how-to/read-the-accuracy-report.md")
_ABOUT_EXPERIMENTS = 6  # experiments stand after the window's sums and before the long lists


@dataclass(frozen=True)
class Report:
    """A report ready to be written.

    Attributes:
        document: Result of `accuracy_of`.
        sections: The sections, in order.
        plots: Pictures by name.
        provenance: Where it comes from.
    """

    document: Mapping[str, Any]
    sections: Sequence[Section]
    plots: Mapping[str, Plot]
    provenance: Provenance


def compose(
    document: Mapping[str, Any], provenance: Provenance, experiments: Sequence[Section] = ()
) -> Report:
    """Words, tables and pictures of a document.

    Args:
        document: Result of `accuracy_of`.
        provenance: Where it comes from.
        experiments: Sections of `read_experiments`.
    """
    parts = sections(document)
    parts[_ABOUT_EXPERIMENTS:_ABOUT_EXPERIMENTS] = experiments
    return Report(document, parts, draw_plots(document), provenance)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write accuracy.md, its pictures, accuracy.html and accuracy.json into a folder; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "accuracy.html", folder / "accuracy.json"
    page.write_text(_render("report.html.j2", report, guide=None, folder=""), encoding="utf-8")
    data.write_text(json.dumps(report.document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*write_markdown(report, folder / "accuracy.md"), page, data]


def write_markdown(report: Report, path: Path) -> list[Path]:
    """Write the Markdown page and, in a folder of its name next to it, the pictures; the files written."""
    pictures = path.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    guide = _GUIDE.as_posix() if (path.parent / _GUIDE).exists() else None
    path.write_text(_render("report.md.j2", report, guide=guide, folder=pictures.name), encoding="utf-8")
    drawn = []
    for plot in report.plots.values():
        file = pictures / f"{plot.name}.svg"
        file.write_text(plot.svg, encoding="utf-8")
        drawn.append(file)
    return [path, *drawn]


def _render(template: str, report: Report, *, guide: str | None, folder: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    html = template.endswith(".html.j2")
    environment = Environment(
        loader=PackageLoader("ml.accuracy"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def bold(text: str) -> Markup:
        parts = str(escape(visible(text))).split("**")
        return Markup("".join(f"<strong>{p}</strong>" if i % 2 else p for i, p in enumerate(parts)))

    environment.filters["bold"] = bold
    environment.filters["literal"] = markdown_text
    environment.filters["visible"] = visible
    return environment.get_template(template).render(report=report, guide=guide, folder=folder)
