"""What a check is, and the common ways of measuring one.

Here: `Check`, `Finding`, and measurements made from SQL. Not here: Dagster (`orchestration.checks.factory`).
All measurements are set-wise: one statement over all collections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestration.states import CheckSeverity

if TYPE_CHECKING:
    import dagster as dg
    import duckdb

# Offending rows kept as examples in the metadata.
EXAMPLES = 20


@dataclass(frozen=True)
class CheckContext:
    """What a check measures with.

    Attributes:
        con: A reading connection.
        as_of: Rows known at or after it are not used.
        instance: The Dagster instance, for checks about runs and partitions.
    """

    con: duckdb.DuckDBPyConnection
    as_of: datetime
    instance: dg.DagsterInstance | None = None


@dataclass(frozen=True)
class Finding:
    """Outcome of a check.

    Attributes:
        passed: Whether it holds.
        numbers: What was measured, by name, with units in the names.
        rows: The first offending rows.
        note: One sentence, such as why nothing could be judged.
        commands: Commands made for this finding; they replace the check's own.
    """

    passed: bool
    numbers: dict[str, Any] = field(default_factory=dict)
    rows: pd.DataFrame | None = None
    note: str = ""
    commands: str | None = None


Measure = Callable[[CheckContext], Finding]


@dataclass(frozen=True)
class Check:
    """One assertion about an asset.

    Attributes:
        name: Unique for its asset.
        asset: The asset it is about.
        description: What must hold.
        measure: How it is measured.
        severity: error or warn.
        blocking: Whether what builds on the asset must not be built when it fails.
        what_to_do: The first command.
        runbook: Page in docs/runbook, without folder and ending.
    """

    name: str
    asset: str
    description: str
    measure: Measure
    runbook: str
    severity: CheckSeverity = CheckSeverity.WARN
    blocking: bool = False
    what_to_do: str = "assay run"


def no_rows(sql: str) -> Measure:
    """Holds when the query of offending rows finds none. `$as_of` may be used."""

    def measure(context: CheckContext) -> Finding:
        given = {"as_of": context.as_of} if "$as_of" in sql else {}
        found = context.con.execute(
            f"select *, count(*) over () as offending_rows from ({sql}) limit {EXAMPLES}", given
        ).df()
        offending = int(found["offending_rows"].iloc[0]) if len(found) else 0
        return Finding(offending == 0, {"offending_rows": offending}, found.drop(columns="offending_rows"))

    return measure


def refers(
    asset: str, table: str, to: str, keys: str, *, where: str = "true", blocking: bool = True
) -> Check:
    """The check that every row of a table refers to a row of another."""
    name = to.split(".")[1]
    return Check(
        name=f"{asset}_exist_in_{name}",
        asset=asset,
        description=f"Every row of {table} refers to a row of {to} ({keys}).",
        measure=no_rows(f"select {keys} from {table} t anti join {to} using ({keys}) where {where}"),
        severity=CheckSeverity.ERROR,
        blocking=blocking,
        runbook="rows-contradict",
    )


def share_against_before(sql: str, *, least: float, times: float, min_events: int) -> Measure:
    """Holds while a share of the newest events is within reason of what it was before.

    Args:
        sql: One row with `odd`, `events` (newest) and `odd_before`, `events_before`.
        least: A share up to this is always within reason.
        times: How many times the share before it may be.
        min_events: With fewer newest events nothing is judged.
    """

    def measure(context: CheckContext) -> Finding:
        row = context.con.execute(sql, {"as_of": context.as_of}).fetchone()
        odd, events, odd_before, events_before = row or (0, 0, 0, 0)
        if events < min_events:
            return Finding(
                True, {"events": events}, note=f"{events} events, fewer than {min_events}: not judged"
            )
        share, before = odd / events, odd_before / max(events_before, 1)
        limit = max(least, times * before)
        return Finding(
            share <= limit, {"share": share, "share_before": before, "limit": limit, "events": events}
        )

    return measure
