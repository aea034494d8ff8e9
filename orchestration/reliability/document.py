"""docs/reliability.md, made of what was measured: `python -m orchestration.reliability.document`.

Here: the page. Not here: the numbers (`orchestration.reliability.measured`). A part without a measurement says so:
no number on the page was typed by hand. A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from lake.storage import write_whole
from ml.text.markdown import markdown_text
from orchestration.reliability.measured import FOLDER, PARTS, Measurement, Part, read_measurement

PAGE = FOLDER.parent / "reliability.md"

_HEAD = """# Reliability

What was measured of differences, restores, kills, faults and secrets. This page is generated from the files in
[measured](measured/README.md) by `make docs-reliability`; a part that nobody has measured says so.
"""
_MET = {True: "yes", False: "**no**", None: ""}


def page(folder: Path = FOLDER) -> str:
    """The whole page.

    Raises:
        MeasurementError: A file has another shape than a measurement.
    """
    return "\n".join([_HEAD, *(_section(part, read_measurement(part, folder)) for part in PARTS)])


def _section(part: Part, measured: Measurement | None) -> str:
    lines = [f"## {part.heading}", "", part.what, ""]
    if measured is None:
        return "\n".join([*lines, "Not measured yet.", ""])
    lines += ["| what | found | aim | met |", "|---|---|---|---|"]
    for figure in measured.figures:
        shown = [markdown_text(text) for text in (figure.what, figure.found, figure.aim)]
        lines.append(f"| {' | '.join(shown)} | {_MET[figure.met]} |")
    notes = " ".join(markdown_text(note) for note in measured.notes)
    lines += ["", f"Measured on {measured.measured_on} by `{measured.command}`. {notes}".rstrip(), ""]
    return "\n".join(lines)


def main() -> None:
    """Renew the page."""
    write_whole(PAGE, page())
    print(f"{PAGE}: written")


if __name__ == "__main__":
    main()
