"""Refusing rows that broke no rule by themselves, but beside the others, and what is no row at all.

Here: taking typed rows out and into quarantine; lines and files that gave no rows. Not here: why
(`sources.files.price_checks`, `sources.files.rate_checks`, `sources.files.identity`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sources.contract import QUARANTINE, TIMESTAMP, raw_table
from sources.files.errors import MissingColumnError
from sources.files.reading.tables import Broken
from sources.validation import quarantine
from sources.values import connect, quote_name


@dataclass(frozen=True)
class Refusal:
    """Why some rows are refused.

    Attributes:
        reason: Machine word of `sources.validation.REASONS`.
        column: Column that broke the rule.
        expected: What the rule expects.
    """

    reason: str
    column: str
    expected: str


def refuse(
    table: str, rows: pa.Table, wrong: pa.ChunkedArray, why: Refusal, found: pa.ChunkedArray | None = None
) -> tuple[pa.Table, pa.Table]:
    """Split typed rows.

    Args:
        table: Raw table of the rows.
        rows: Rows in the table's schema, other columns beside it.
        wrong: Whether a row is refused; null counts as false.
        why: Reason, column and expectation.
        found: What was found, by row; default: the column.

    Returns:
        The rows that stay, and the refused ones: `rows` (as they were) beside the quarantine's columns, see `Refused`.
    """
    mask = pc.fill_null(wrong, False)
    if not pc.any(mask, min_count=0).as_py():
        return rows, QUARANTINE.schema.empty_table().append_column("_file", pa.array([], pa.int32()))
    bad = rows.filter(mask)
    stated = (found if found is not None else rows.column(why.column)).filter(mask)
    with connect() as con:
        con.register("bad", bad)
        names = ", ".join(f"{quote_name(n)} := {quote_name(n)}" for n in raw_table(table).names)
        payload = con.execute(f"select to_json(struct_pack({names}))::varchar as p from bad").to_arrow_table()
    n = bad.num_rows
    refused = quarantine(
        table,
        source=bad.column("source").cast(pa.string()),
        source_row=bad.column("source_row"),
        reason=pa.array([why.reason] * n),
        column_name=pa.array([why.column] * n),
        expected=pa.array([why.expected] * n),
        found=stated.cast(pa.string()),
        payload=payload.column("p"),
        known_at=bad.column("known_at"),
    )
    return rows.filter(pc.invert(mask)), refused.append_column("_file", bad.column("_file"))


def broken_lines(table: str, source: str, file: str, lines: Broken, now: datetime) -> pa.Table:
    """Quarantine rows of the lines of a text that are no rows."""
    numbers, reasons, expected, found = zip(*lines, strict=True)
    return quarantine(
        table,
        source=pa.array([source] * len(numbers)),
        source_row=pa.array([f"{file}:{n}" for n in numbers]),
        reason=pa.array(reasons),
        column_name=pa.nulls(len(numbers), pa.string()),
        expected=pa.array(expected),
        found=pa.array(found),
        payload=pa.array([json.dumps({"line": text}) for text in found]),
        known_at=pa.array([now] * len(numbers), TIMESTAMP),
    )


def bad_file(table: str, source: str, file: str, error: Exception, now: datetime) -> pa.Table:
    """The one quarantine row that stands for a file that cannot be used."""
    reason = "missing_column" if isinstance(error, MissingColumnError) else "unreadable_file"
    return quarantine(
        table,
        source=pa.array([source]),
        source_row=pa.array([file]),
        reason=pa.array([reason]),
        column_name=pa.nulls(1, pa.string()),
        expected=pa.array(["a file that can be used"]),
        found=pa.array([str(error)]),
        payload=pa.array([json.dumps({"file": file, "error": str(error)})]),
        known_at=pa.array([now], TIMESTAMP),
    )
