"""Rows against declared columns: SQL finds offenders among all rows, Pandera judges them and a sample.

Here: the check. Not here: the rules, which are part of the declaration of a table (`lake.tables`, `ml.tables`).

Concept: nulls, bounds and infinities are conditions on single columns. One SQL scan finds every offending row of
millions in a second, and Pandera would find the same ones slowly. So SQL reads all rows; Pandera then checks the
offenders together with a sample of the rest, which adds the types and gives failure cases, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lake.tables import ColumnRule, Table
from orchestration.checks.definition import EXAMPLES, CheckContext, Finding, Measure

# Rows Pandera judges in addition to the offenders: enough to notice a wrong type, cheap enough for every run.
SAMPLE_ROWS = 2_000


def rows_meet(
    table: Table,
    where: str = "true",
    *,
    keys: Sequence[str] | None = None,
    unique: bool = False,
    sample_rows: int = SAMPLE_ROWS,
) -> Measure:
    """Every row of a table (where the condition holds; may use `$as_of`) keeps the rules of its declaration.

    Args:
        table: The table.
        where: Rows to check.
        keys: Columns that name a row in what is shown; the key of the table when None.
        unique: Whether its key may occur once only.
        sample_rows: Rows that Pandera checks in addition to those that break a rule.
    """
    shown = list(keys or table.key)
    columns = ", ".join(dict.fromkeys(f'"{name}"' for name in (*shown, *(rule.name for rule in table.rules))))

    def measure(context: CheckContext) -> Finding:
        from pandera.errors import SchemaErrors

        given = {"as_of": context.as_of} if "$as_of" in where else {}
        rows, offending = context.con.execute(
            f"select count(*), count(*) filter (where {table.broken}) from {table.name} where {where}", given
        ).fetchone() or (0, 0)
        offenders, sample = (
            context.con.execute(query, given).df()
            for query in (
                f"select {columns} from {table.name} where ({where}) and ({table.broken}) limit {EXAMPLES}",
                f"select {columns} from {table.name} where {where} limit {sample_rows}",
            )
        )
        checked = pd.concat([offenders, sample], ignore_index=True)
        failures = None
        try:
            _pandera(table).validate(checked, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases
            failures = cases[["column", "check", "failure_case", "index"]].join(checked[shown], on="index")
            failures = failures.drop(columns="index").drop_duplicates().head(EXAMPLES)
        if offending:
            failures = _with_the_rest(failures, offenders[shown])
        repeated = _repeated(context, table, where, given) if unique else 0
        numbers = {
            "rows": rows,
            "offending_rows": offending,
            "rows_checked_by_pandera": len(checked),
            **({"repeated_keys": repeated} if unique else {}),
        }
        return Finding(offending == 0 and failures is None and not repeated, numbers, failures)

    return measure


def _repeated(context: CheckContext, table: Table, where: str, given: dict[str, Any]) -> int:
    """Rows beyond the first of their key, by a count of hashes: exact grouping of millions costs far more."""
    row = context.con.execute(
        f"select count(*) - count(distinct hash({', '.join(table.key)})) from {table.name} where {where}",
        given,
    ).fetchone()
    return int(row[0]) if row else 0


def _with_the_rest(failures: pd.DataFrame | None, offenders: pd.DataFrame) -> pd.DataFrame:
    """Failure cases and the offenders Pandera let pass: to pandas, a NaN is a null and may be there."""
    if failures is None:
        return offenders.assign(check="SQL rule")
    keys = list(offenders.columns)
    unseen = offenders.merge(failures[keys].drop_duplicates(), how="left", indicator=True)
    rest = unseen.loc[unseen["_merge"] == "left_only", keys].assign(check="SQL rule")
    return pd.concat([failures, rest], ignore_index=True)


_DTYPES = {"float": "float32", "double": "float64"}


def _pandera(table: Table) -> Any:
    import pandera.pandas as pa_pandas

    types = {column.name: _DTYPES.get(column.type) for column in table.columns}

    def checks(rule: ColumnRule) -> list[Any]:
        listed = [pa_pandas.Check.isin(rule.allowed)] if rule.allowed else []
        bounded = [pa_pandas.Check.in_range(rule.low, rule.high)] if rule.low is not None else []
        return listed + bounded

    return pa_pandas.DataFrameSchema(
        {
            rule.name: pa_pandas.Column(types[rule.name], checks=checks(rule), nullable=not rule.required)
            for rule in table.rules
        }
    )
