"""What a home's tables say, in a form two homes can be compared by.

Exact columns (text, numbers without fraction, times, flags) by a hash over all rows; floating-point columns by
count and sums, because DuckDB adds doubles in whatever order its threads finish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from lake.connection import Lake

SCHEMAS = ("raw", "marts", "features", "predictions")
# Bookkeeping of *how* a table came to be, which two homes may differ in.
LEFT_OUT = {"snapshot_id", "run_id", "trained_at", "decided_at", "updated_at", "fold", "artifact"}

Content = dict[str, dict[str, object]]


def content(lake: Lake, schemas: Iterable[str] = SCHEMAS) -> Content:
    """table → {rows, exact hash, column → (count, sum, sum of squares)}."""
    found: Content = {}
    with lake.read() as con:
        tables = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by 1"
        ).fetchall()
        for (table,) in tables:
            if table.split(".")[0] not in set(schemas):
                continue
            columns = con.execute(f"describe {table}").fetchall()
            floats = [c[0] for c in columns if c[1] in ("DOUBLE", "FLOAT") and c[0] not in LEFT_OUT]
            exact = [
                c[0] for c in columns if c[1] not in ("DOUBLE", "FLOAT", "DOUBLE[]") and c[0] not in LEFT_OUT
            ]
            row = con.execute(
                f"select count(*), sum(hash({', '.join(exact)})::hugeint) from {table}"
                if exact
                else f"select count(*), 0 from {table}"
            ).fetchone()
            assert row is not None
            found[table] = {"rows": row[0], "exact": row[1]}
            for name in floats:
                found[table][name] = con.execute(
                    f'select count("{name}"), coalesce(sum("{name}"), 0), coalesce(sum("{name}" * "{name}"), 0)'
                    f" from {table}"
                ).fetchone()
    return found


def differences(one: Content, other: Content, tolerance: float = 1e-6) -> list[str]:
    """What differs, one line each; empty when the homes hold the same."""
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
