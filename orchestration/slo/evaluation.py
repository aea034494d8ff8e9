"""One pass over all SLOs: every indicator measured once, on one connection, for one `as_of`.

Here: running the SQL of the definitions and turning rows into samples. Not here: the arithmetic over samples
(`orchestration.slo.budget`) or storing them (`orchestration.slo.tables`).

A ratio counts the events since the evaluation before, so that no event is counted twice; a value is one good or bad
event per evaluation. Evaluating again for the same `as_of` gives the same sample and replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lake.tables import is_empty, relations
from orchestration.slo.budget import DEFAULT_CADENCE, WIDEST, Budget, Sample, budget
from orchestration.slo.definitions import Slo, SloDefinitionError
from orchestration.states import SloState

if TYPE_CHECKING:
    import duckdb

# Schema name that definitions use for temporary tables about Dagster.
PLATFORM_SCHEMA = "platform"
_NAMED = re.compile(r"\$(\w+)")
_GIVEN = ("as_of", "since")
_COLUMNS = {"ratio": ("good", "valid"), "value": ("value", "events")}


@dataclass(frozen=True)
class Status:
    """An SLO, its newest sample and its budget."""

    slo: Slo
    sample: Sample
    budget: Budget

    @property
    def state(self) -> SloState:
        """The budget's state."""
        return self.budget.state


def evaluate(
    con: duckdb.DuckDBPyConnection,
    slos: Sequence[Slo],
    as_of: datetime,
    history: Mapping[str, Sequence[Sample]] | None = None,
) -> list[Status]:
    """Measure every SLI and judge its budget with the samples there are.

    Args:
        con: A reading connection; temporary tables `platform.<name>` are named `platform_<name>` on it.
        slos: What to measure.
        as_of: Events at or after it are not used.
        history: Earlier samples by SLO; those at or after `as_of` are ignored.

    Raises:
        SloDefinitionError: an SLI's SQL fails or gives other columns than its kind needs.
    """
    tables = _tables(con)
    found = []
    for slo in slos:
        before = [s for s in (history or {}).get(slo.name, ()) if s.evaluated_at < as_of]
        sample = _measure(con, slo, as_of, _since(slo, before, as_of), tables)
        found.append(
            Status(
                slo,
                sample,
                budget(
                    [*before, sample],
                    as_of,
                    objective=slo.objective,
                    window=timedelta(days=slo.window_days),
                    severity=slo.severity,
                    # A value's events are guarded where it is measured; in the budget it is one event.
                    min_events=slo.sli.min_events if slo.sli.kind == "ratio" else 1,
                    min_bad=slo.sli.min_bad if slo.sli.kind == "ratio" else 1,
                ),
            )
        )
    return found


def _since(slo: Slo, before: Sequence[Sample], as_of: datetime) -> datetime:
    """Where the counting starts: at the evaluation before, or where a first one begins.

    A first ratio covers the widest burn window: over more, a loaded history would outweigh new events for days. A first
    value covers one evaluation.
    """
    if before:
        return max(as_of - timedelta(days=slo.window_days), max(sample.evaluated_at for sample in before))
    return as_of - (WIDEST if slo.sli.kind == "ratio" else DEFAULT_CADENCE)


def _measure(
    con: duckdb.DuckDBPyConnection, slo: Slo, as_of: datetime, since: datetime, tables: set[str]
) -> Sample:
    def no_data(why: str, value: float | None = None) -> Sample:
        return Sample(slo.name, as_of, since, 0, 0, value, why)

    unbuilt = [table for table in slo.sli.needs if table not in tables]
    if unbuilt:
        return no_data(f"{', '.join(unbuilt)} does not exist yet")
    row = _row(con, slo, {"as_of": as_of, "since": since})
    empty = [table for table in slo.sli.needs if is_empty(con, _renamed(table))]
    if empty:
        return no_data(f"{', '.join(empty)} has no rows yet")
    if slo.sli.kind == "ratio":
        good, valid = float(row["good"] or 0), float(row["valid"] or 0)
        if not 0 <= good <= valid:
            raise SloDefinitionError(
                f"{slo.name}: sli.sql: expected 0 ≤ good ≤ valid, found {good} of {valid}"
            )
        value = None if row.get("value") is None else float(row["value"])
        return (
            Sample(slo.name, as_of, since, good, valid, value)
            if valid
            else no_data("no event to judge", value)
        )
    events, value = int(row["events"] or 0), row["value"]
    if value is None or events < slo.sli.min_events:
        return no_data(
            f"{events} events, fewer than {slo.sli.min_events}", None if value is None else float(value)
        )
    return Sample(slo.name, as_of, since, float(slo.sli.keeps_bound(float(value))), 1, float(value))


def _renamed(sql: str) -> str:
    """SQL of a definition, with the temporary tables under the names that they have on the connection."""
    return sql.replace(f"{PLATFORM_SCHEMA}.", f"{PLATFORM_SCHEMA}_")


def _row(con: duckdb.DuckDBPyConnection, slo: Slo, given: dict[str, Any]) -> dict[str, Any]:
    import duckdb

    query = _renamed(slo.sli.query)
    unknown = set(_NAMED.findall(query)) - set(_GIVEN)
    if unknown:
        raise SloDefinitionError(
            f"{slo.name}: sli.sql: expected only ${', $'.join(_GIVEN)}, found ${', $'.join(sorted(unknown))}"
        )
    try:
        cursor = con.execute(query, {name: given[name] for name in set(_NAMED.findall(query))})
        names = [column[0] for column in cursor.description or []]
        rows = cursor.fetchall()
    except duckdb.Error as error:
        raise SloDefinitionError(
            f"{slo.name}: sli.sql: expected SQL that runs, found: {str(error).strip()}"
        ) from error
    wanted = _COLUMNS[slo.sli.kind]
    if len(rows) != 1 or not set(wanted) <= set(names):
        raise SloDefinitionError(
            f"{slo.name}: sli.sql: expected one row with {' and '.join(wanted)}, "
            f"found {len(rows)} rows with {', '.join(names)}"
        )
    return dict(zip(names, rows[0], strict=True))


def _tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    """schema.table of what can be read; temporary `platform_<x>` as `platform.<x>`; empty names excluded."""
    prefix = f"{PLATFORM_SCHEMA}_"
    temporary = con.execute("select distinct table_name from duckdb_columns() where database_name = 'temp'")
    of_dagster = {
        f"{PLATFORM_SCHEMA}.{n.removeprefix(prefix)}" for (n,) in temporary.fetchall() if n.startswith(prefix)
    }
    return of_dagster | relations(con)
