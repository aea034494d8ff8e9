"""Does a feature table meet its declared schema? Blocks training and scoring when it does not.

What is here: a Pandera model made from ``schema.FEATURES`` and the check of a table. What is not: the remedy.

The concept. Nulls, bounds, infinities and keys are conditions on single columns: one SQL scan finds every
offending row of millions in a second, and Pandera would find the same ones slowly. So SQL checks *all*
rows; Pandera then judges the offenders SQL found together with a seeded sample of the rest, which adds the
types and yields its failure cases, row by row, for people to read. Nothing SQL finds can pass, and the
sample shows whether the two agree.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import duckdb
import pandas as pd

from ml.features.schema import FEATURES, Feature

if TYPE_CHECKING:
    import pandera.pandas as pa

#: Rows Pandera checks next to the offenders.
SAMPLE_ROWS = 20_000
#: Offending rows shown to Pandera, at most.
OFFENDER_ROWS = 1_000
#: ln ETH between which a base and a target are believable: 1e-8 to 1e8 ETH.
LOG_ETH_BOUND = 18.5

_DTYPES = {"FLOAT": "float32", "DOUBLE": "float64"}
_KEYS = {"sale_features": ("sale_id",), "token_features": ("collection", "token_id")}
_BASE = Feature("base_log", "key", "", "ln ETH", False, -LOG_ETH_BOUND, LOG_ETH_BOUND, "DOUBLE")
_TARGET = dataclasses.replace(_BASE, name="target_log")


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """Outcome of a check.

    Attributes:
        passed: no row of the whole table offends. failures: Pandera's failure cases (column, check,
        failure_case and the row's keys), plus one row per key that
            occurs twice.
        sampled_rows: rows Pandera judged.
        offending_rows: rows of the whole table that offend.
        rows: rows of the table.
    """

    passed: bool
    failures: pd.DataFrame
    sampled_rows: int
    offending_rows: int
    rows: int


def feature_model(features: tuple[Feature, ...]) -> pa.DataFrameSchema:
    """A Pandera schema of the columns: type, nullability and bounds of each feature."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            f.name: pa.Column(_DTYPES[f.dtype], pa.Check.in_range(f.low, f.high), nullable=f.nullable)
            for f in features
        }
    )


def check_features(
    con: duckdb.DuckDBPyConnection, table: str, seed: int = 0, sample_rows: int = SAMPLE_ROWS
) -> CheckReport:
    """Check every row of a feature table against the declared schema.

    Args:
        con: a reading connection.
        table: ``features.sale_features`` or ``features.token_features``.
        seed: of the sample.
        sample_rows: rows for Pandera next to the offenders.

    Raises:
        ValueError: the table is neither of the two.
    """
    from pandera.errors import SchemaErrors

    name = table.rsplit(".", maxsplit=1)[-1]
    if name not in _KEYS:
        raise ValueError(f"expected one of {', '.join(_KEYS)}, found {table!r}")
    checked = (*FEATURES, _BASE, *([_TARGET] if name == "sale_features" else []))
    keys = ", ".join(_KEYS[name])
    offends = " or ".join(_offence(feature) for feature in checked)
    rows, offending = con.execute(
        f"select count(*), count(*) filter (where {offends}) from {table}"
    ).fetchone() or (0, 0)
    columns = ", ".join((*_KEYS[name], *(feature.name for feature in checked)))
    offenders = f"select {columns} from {table} where {offends} limit {OFFENDER_ROWS}" if offending else None
    # Whole vectors are drawn: choosing single rows would read every column of every row once more.
    share = f"using sample {100 * sample_rows / rows} percent (system, {seed})" if rows > sample_rows else ""
    queries = [query for query in (offenders, f"select {columns} from {table} {share}") if query]
    judged = pd.concat([con.execute(query).df() for query in queries], ignore_index=True)
    try:
        feature_model(checked).validate(judged, lazy=True)
        failures = pd.DataFrame()
    except SchemaErrors as errors:
        failures = errors.failure_cases[["column", "check", "failure_case", "index"]]
        failures = (
            failures.join(judged[list(_KEYS[name])], on="index").drop(columns="index").drop_duplicates()
        )
    repeated = _repeated_keys(con, table, keys)
    found = [part for part in (failures, repeated) if len(part)]
    failures = pd.concat(found or [repeated], ignore_index=True)
    return CheckReport(offending == 0 and failures.empty, failures, len(judged), int(offending), int(rows))


def _repeated_keys(con: duckdb.DuckDBPyConnection, table: str, keys: str) -> pd.DataFrame:
    """Keys that occur twice; the rows are grouped only when a count of hashes shows that there are any."""
    suspects = con.execute(f"select count(*) - count(distinct hash({keys})) from {table}").fetchone()
    limit = OFFENDER_ROWS if suspects and suspects[0] else 0
    return con.execute(
        f"""
        select 'key' as column, 'unique' as check, count(*) as failure_case, {keys}
        from {table}
        group by {keys}
        having count(*) > 1
        limit {limit}
        """
    ).df()


def _offence(feature: Feature) -> str:
    """SQL that is true for a row breaking the feature's declaration (NaN compares above every bound)."""
    outside = f"{feature.name} not between {feature.low!r} and {feature.high!r}"
    return f"coalesce({outside}, {'false' if feature.nullable else 'true'})"
