"""What was measured about reliability: one JSON file a part, in docs/measured, as the measuring command wrote it.

Here: the parts there are, the shape of their files, reading and writing. Not here: measuring (the benchmarks, the
drills) and the page made of them (`orchestration.reliability.document`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from lake.storage import write_whole

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "measured"


@dataclass(frozen=True)
class Part:
    """Something that is measured: its file is `name`.json."""

    name: str
    heading: str
    what: str


PARTS = (
    Part(
        "reconciliation",
        "Rows compared",
        "Tables against their sources, and against each other, row for row.",
    ),
    Part(
        "promise",
        "The bound of a home",
        "What a pass of the asset `consistency` finds, and what it can promise of all raw rows until the next one.",
    ),
    Part(
        "consistency",
        "Consistency",
        "Whether the bound on the share of wrong segments holds, by simulation with known rates of damage.",
    ),
    Part("restore", "Restore", "A backup, restored on another path."),
    Part(
        "kills",
        "Kills",
        "`kill -9` at random moments of a run, the maintenance and a backup, and then the same tables as undisturbed.",
    ),
    Part(
        "faults",
        "Faults",
        "A home harmed in the ways that its runbook knows: found by a command, brought back as the runbook says, and "
        "then the same tables as one that was not harmed.",
    ),
    Part(
        "full_disk",
        "A full disk",
        "The disk full from the moment at which a stage begins, then room again, and the same tables as with room.",
    ),
    Part("secrets", "Secrets", "Secrets planted in every setting that may hold one, then searched for."),
)


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        what: What was measured, a few words.
        found: The number with its unit, as it is shown.
        aim: What was wanted; empty when nothing was promised.
        met: Whether the aim was met; None without one.
    """

    what: str
    found: str
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Measurement:
    """A part as it was measured.

    Attributes:
        measured_on: Day, ISO 8601.
        command: What measures it again.
        figures: The numbers, in the order they are shown.
        notes: What a reader has to know, such as the machine; one sentence each.
    """

    measured_on: str
    command: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class MeasurementError(ValueError):
    """A file of docs/measured does not have the shape of a measurement."""


def write_measurement(
    part: str, command: str, figures: list[Figure], notes: list[str], folder: Path = FOLDER
) -> Path:
    """Keep what was measured today; returns the file.

    Raises:
        LookupError: There is no part of this name.
    """
    if part not in {known.name for known in PARTS}:
        names = ", ".join(known.name for known in PARTS)
        raise LookupError(
            f"expected a part of the reliability page ({names}), found {part!r}; add it to PARTS"
        )
    measured = Measurement(date.today().isoformat(), command, tuple(figures), tuple(notes))  # noqa: DTZ011
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    write_whole(path, json.dumps(asdict(measured), indent=1, ensure_ascii=False) + "\n")
    return path


def read_measurement(part: Part, folder: Path = FOLDER) -> Measurement | None:
    """What was measured of this part; None if it has not been measured.

    Raises:
        MeasurementError: The file has another shape.
    """
    path = folder / f"{part.name}.json"
    if not path.exists():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(Figure(**figure) for figure in held.pop("figures"))
        return Measurement(figures=figures, **{**held, "notes": tuple(held.get("notes", ()))})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MeasurementError(
            f"{path}: expected a measurement as orchestration/reliability/measured.py writes it, found {error!r}; "
            "measure this part again"
        ) from error
