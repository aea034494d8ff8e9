"""Rows as CSV. Here: cells as spreadsheets and programs read them. Not here: which rows, or where the file goes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from ml.text.spreadsheet import spreadsheet_cell


def write_rows(
    file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, exact: bool = False
) -> int:
    """Rows with a header, whole numbers in full, what is not known empty.

    Args:
        file: Opened for text.
        columns: The header.
        rows: Values in the order of the columns.
        exact: Leave text as it is, for a program; otherwise a spreadsheet shows it and runs none of it.

    Returns:
        How many rows were written.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    written = 0
    for row in rows:
        writer.writerow([_cell(value, exact) for value in row])
        written += 1
    return written


def write_mappings(file: TextIO, rows: Sequence[Mapping[str, Any]]) -> None:
    """The same for rows by name; nothing at all without rows."""
    if rows:
        write_rows(file, list(rows[0]), (list(row.values()) for row in rows))


def _cell(value: Any, exact: bool) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return spreadsheet_cell(value) if isinstance(value, str) and not exact else value
