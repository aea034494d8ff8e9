"""One row for each fact of a table whose rows hold several (see `sources.files.shapes`).

Here: a column for each trait or currency, and lists of attributes, as long rows. Not here: what the facts mean
(`sources.files.candidates`).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sources.attributes import TYPE_NAMES, VALUE_NAMES, first_of, text_of
from sources.files.plan import Plan
from sources.files.reading.tables import PART, ROW, FileRows
from sources.values import is_text

_LONGEST = 1_000_000


def long_rows(plan: Plan, read: FileRows) -> tuple[Plan, FileRows]:
    """One row for each fact, numbered by `PART` within a row of the file; the plan says where its two halves are.

    A row without attributes gives none; a cell that is no list of attributes gives one row without a type.
    """
    if not plan.wide and plan.attributes is None:
        return plan, read
    what, value = ("symbol", "rate") if plan.table == "exchange_rates" else ("trait_type", "trait_value")
    kept = read.rows.select([*dict.fromkeys(plan.columns.values()), ROW])
    if plan.attributes is not None:
        rows, without = _of_attributes(kept, read.rows.column(plan.attributes), what, value)
        notes = (f"{without} rows without attributes",) if without else ()
    else:
        rows, notes = _of_columns(kept, read.rows, plan.wide, what, value), ()
    columns = plan.columns | {what: f"_{what}", value: f"_{value}"}
    return replace(plan, columns=columns), replace(read, rows=rows, notes=(*read.notes, *notes))


def _of_columns(kept: pa.Table, rows: pa.Table, wide: Mapping[str, str], what: str, value: str) -> pa.Table:
    size, names = rows.num_rows, list(wide)
    values = [
        rows.column(n) if is_text(rows.column(n).type) else rows.column(n).cast(pa.string()) for n in names
    ]
    # Column by column, then in the order of the file's rows.
    order = np.arange(size * len(names)).reshape(len(names), size).T.ravel()
    long = kept.take(pa.array(np.repeat(np.arange(size), len(names))))
    long = long.append_column(f"_{what}", pa.array(list(wide.values()) * size, pa.string()))
    chunks = pa.chunked_array([c for v in values for c in v.chunks], pa.string())
    long = long.append_column(f"_{value}", chunks.take(pa.array(order)))
    return long.append_column(PART, pa.array(np.tile(np.arange(1, len(names) + 1), size), pa.int64()))


def _of_attributes(kept: pa.Table, cells: pa.ChunkedArray, what: str, value: str) -> tuple[pa.Table, int]:
    where: list[int] = []
    parts: list[int] = []
    types: list[str | None] = []
    values: list[str | None] = []
    without = 0
    for at, cell in enumerate(cells.to_pylist()):
        found = [] if cell is None else attributes_of(str(cell))
        without += found == []
        for part, (kind, stated) in enumerate([(None, str(cell))] if found is None else found, 1):
            where.append(at)
            parts.append(part)
            types.append(kind)
            values.append(stated)
    long = kept.take(pa.array(where, pa.int64()))
    long = long.append_column(f"_{what}", pa.array(types, pa.string()))
    long = long.append_column(f"_{value}", pa.array(values, pa.string()))
    return long.append_column(PART, pa.array(parts, pa.int64())), without


def attributes_of(cell: str) -> list[tuple[str | None, str | None]] | None:
    """Types and values of a list of attributes, in JSON or as Python prints it; None when it is neither."""
    cell = cell.strip()
    if cell.lower() in ("", "null", "none", "nan", "[]", "{}"):
        return []
    try:
        stated = json.loads(cell)
    except ValueError:
        if len(cell) > _LONGEST or cell[0] not in "[{(":
            return None
        try:
            stated = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    except RecursionError:
        return None
    return _pairs(stated)


def _pairs(stated: Any) -> list[tuple[str | None, str | None]] | None:
    if isinstance(stated, dict):
        within = next(
            (stated[k] for k in ("attributes", "traits") if isinstance(stated.get(k), list | dict)), None
        )
        if within is not None:
            return _pairs(within)
        return [(str(k), text_of(v)) for k, v in stated.items() if not isinstance(v, list | dict)]
    if not isinstance(stated, list | tuple) or not all(isinstance(item, dict) for item in stated):
        return None
    return [(text_of(first_of(item, TYPE_NAMES)), text_of(first_of(item, VALUE_NAMES))) for item in stated]
