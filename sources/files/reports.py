"""What became of each file of a folder, for people.

Here: the report of a file, and the lines that name what was not used. Not here: reading files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        file: Path within the folder.
        table: Raw table it holds; None when it is left out.
        rows: Rows in the file; None when it was not or could not be read.
        emitted: Rows that keep the contract.
        rejected: Rows in quarantine. rows = emitted + rejected.
        note: Why the file was left out or could not be read.
        kind: What it is: an export's name, or the table's.
        columns: Role → column of the file.
        unused: Columns that nothing is read from.
        notes: What was decided about the file or its columns as a whole.
        reasons: Reason of quarantine → rows.
    """

    file: str
    table: str | None
    rows: int | None = None
    emitted: int = 0
    rejected: int = 0
    note: str = ""
    kind: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: dict[str, int] = field(default_factory=dict)


def left_out(reports: list[FileReport]) -> list[str]:
    """One line for each file that was not read, and for each set of columns that is not used, each named once."""
    lines = [f"{r.file}: left out: {r.note}" for r in reports if r.table is None]
    lines += [f"{r.file}: could not be used: {r.note}" for r in reports if r.table is not None and r.note]
    lines += [f"{r.file}: no rows" for r in reports if r.rows == 0]
    by_columns: dict[tuple[str, ...], list[str]] = {}
    for report in reports:
        if report.unused:
            by_columns.setdefault(report.unused, []).append(report.file)
    for columns, files in by_columns.items():
        listed = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more like it"
        lines.append(f"{listed}: columns not used: {', '.join(columns)}")
    lines += [f"{r.file}: {note}" for r in reports for note in r.notes]
    lines += [
        f"{r.file}: {r.rejected} of {r.rows} rows refused ({_counted(r.reasons)})"
        for r in reports
        if r.rejected and not r.note
    ]
    return lines


def _counted(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in Counter(reasons).most_common())
