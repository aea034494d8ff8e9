"""Rows against declared columns: SQL finds offenders among all rows, Pandera judges them and a sample.

Here: rules of columns and their check. Not here: the rules of raw tables (`sources.contract`), nor features, which have
their own check with a fingerprint (`ml.features.checks`); the division of labour between SQL and Pandera is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from orchestration.checks.definition import EXAMPLES, CheckContext, Finding, Measure

if TYPE_CHECKING:
    from sources.contract import RawTable

# Rows Pandera judges in addition to the offenders: enough to notice a wrong type, cheap enough for every run.
SAMPLE_ROWS = 2_000


@dataclass(frozen=True)
class ColumnRule:
    """What a column may hold.

    Attributes:
        name: Column.
        required: Whether null offends.
        allowed: The only values, if not empty.
        low, high: Bounds of a number (both included); infinity and NaN are above every bound.
    """

    name: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def offence(self) -> str:
        """SQL that is true for a row that offends."""
        broken = [f'"{self.name}" is null'] if self.required else []
        if self.allowed:
            words = ", ".join("'" + word.replace("'", "''") + "'" for word in self.allowed)
            broken.append(f'"{self.name}" not in ({words})')
        if self.low is not None:
            broken.append(f'"{self.name}" not between {self.low!r} and {self.high!r}')
        return f"coalesce({' or '.join(broken)}, false)" if broken else "false"


def contract_rules(table: RawTable) -> tuple[ColumnRule, ...]:
    """The rules of a raw table: what is required, listed or must be finite."""
    return tuple(
        ColumnRule(
            column.name,
            column.required,
            column.allowed,
            *((-1e300, 1e300) if column.dtype == pa.float64() else (None, None)),
        )
        for column in table.columns
    )


def rows_meet(table: str, rules: Sequence[ColumnRule], keys: Iterable[str], where: str = "true") -> Measure:
    """Every row of `table` (where the condition holds; may use `$as_of`) meets the rules."""
    offends = " or ".join(rule.offence for rule in rules)
    columns = ", ".join(dict.fromkeys(f'"{name}"' for name in (*keys, *(rule.name for rule in rules))))
    shown = list(keys)

    def measure(context: CheckContext) -> Finding:
        from pandera.errors import SchemaErrors

        given = {"as_of": context.as_of} if "$as_of" in where else {}
        rows, offending = context.con.execute(
            f"select count(*), count(*) filter (where {offends}) from {table} where {where}", given
        ).fetchone() or (0, 0)
        offenders, sample = (
            context.con.execute(query, given).df()
            for query in (
                f"select {columns} from {table} where ({where}) and ({offends}) limit {EXAMPLES}",
                f"select {columns} from {table} where {where} limit {SAMPLE_ROWS}",
            )
        )
        judged = pd.concat([offenders, sample], ignore_index=True)
        failures = None
        try:
            _pandera(rules).validate(judged, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases
            failures = cases[["column", "check", "failure_case", "index"]].join(judged[shown], on="index")
            failures = failures.drop(columns="index").drop_duplicates().head(EXAMPLES)
        if offending:
            failures = _with_the_rest(failures, offenders[shown])
        passed = offending == 0 and failures is None
        numbers = {"rows": rows, "offending_rows": offending, "rows_judged_by_pandera": len(judged)}
        return Finding(passed, numbers, failures)

    return measure


def _with_the_rest(failures: pd.DataFrame | None, offenders: pd.DataFrame) -> pd.DataFrame:
    """Failure cases and the offenders Pandera let pass: to pandas, a NaN is a null and may be there."""
    if failures is None:
        return offenders.assign(check="SQL rule")
    keys = list(offenders.columns)
    unseen = offenders.merge(failures[keys].drop_duplicates(), how="left", indicator=True)
    rest = unseen.loc[unseen["_merge"] == "left_only", keys].assign(check="SQL rule")
    return pd.concat([failures, rest], ignore_index=True)


def _pandera(rules: Sequence[ColumnRule]) -> Any:
    import pandera.pandas as pa_pandas

    def checks(rule: ColumnRule) -> list[Any]:
        listed = [pa_pandas.Check.isin(rule.allowed)] if rule.allowed else []
        bounded = [pa_pandas.Check.in_range(rule.low, rule.high)] if rule.low is not None else []
        return listed + bounded

    return pa_pandas.DataFrameSchema(
        {rule.name: pa_pandas.Column(checks=checks(rule), nullable=not rule.required) for rule in rules}
    )
