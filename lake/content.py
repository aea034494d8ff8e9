"""What a lake's tables hold, in a form in which two lakes can be compared, also when one of them is gone.

Exact columns (text, numbers without fraction, times, flags) by a hash over all rows; floating-point columns by
count and sums, because DuckDB adds doubles in whatever order its threads finish. Not here: where two lakes differ
(`lake.diff`).
"""

from __future__ import annotations

import math
from collections.abc import Collection

from lake.connection import Lake

DATA = ("raw", "marts", "features", "predictions")
"""Schemas that two homes of one market agree in, however they came to be."""

BOOKKEEPING = frozenset(
    {"snapshot_id", "run_id", "trained_at", "decided_at", "updated_at", "fold", "artifact"}
)
"""Columns that tell *how* a table came to be, which two homes of one market may differ in."""

Content = dict[str, dict[str, object]]


def content(
    lake: Lake,
    schemas: Collection[str] | None = DATA,
    left_out: Collection[str] = BOOKKEEPING,
    *,
    copied: bool = False,
) -> Content:
    """What each table holds.

    Args:
        lake: The lake.
        schemas: Schemas of the tables; None for all.
        left_out: Columns that are not compared.
        copied: Whether the other lake was copied, not computed: then floating-point columns are compared exactly, too.

    Returns:
        table → {"rows": number, "exact": hash, floating-point column → (count, sum, sum of squares)}.
    """
    found: Content = {}
    with lake.read() as con:
        tables = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by 1"
        ).fetchall()
        for (table,) in tables:
            if schemas is not None and table.split(".")[0] not in schemas:
                continue
            columns = [c for c in con.execute(f"describe {table}").fetchall() if c[0] not in left_out]
            is_float = {c[0]: not copied and c[1] in ("DOUBLE", "FLOAT", "DOUBLE[]") for c in columns}
            exact = ", ".join(f'"{name}"' for name, inexact in is_float.items() if not inexact)
            floats = [c[0] for c in columns if is_float[c[0]] and c[1] != "DOUBLE[]"]
            hashed = f"coalesce(sum(hash({exact})::hugeint), 0)" if exact else "0"
            rows, hashes = con.execute(f"select count(*), {hashed} from {table}").fetchall()[0]
            found[table] = {"rows": rows, "exact": hashes}
            for name in floats:
                found[table][name] = con.execute(
                    f'select count("{name}"), coalesce(sum("{name}"), 0), coalesce(sum("{name}" * "{name}"), 0)'
                    f" from {table}"
                ).fetchone()
    return found


def differences(one: Content, other: Content, tolerance: float = 1e-6) -> list[str]:
    """What differs, a line each; empty when both hold the same. The tolerance is of floating-point sums."""
    lines = [f"{t} only on one side" for t in sorted(set(one) ^ set(other))]
    for table in sorted(set(one) & set(other)):
        for name in one[table]:
            a, b = one[table][name], other[table].get(name)
            if not _same(a, b, tolerance):
                lines.append(f"{table}.{name}: {a} against {b}")
    return lines


def _same(a: object, b: object, tolerance: float) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return a[0] == b[0] and all(
            math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance)
            for x, y in zip(a[1:], b[1:], strict=True)
        )
    return a == b
