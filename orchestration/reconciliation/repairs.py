"""Repairs of what a comparison found: the scope is read or computed again, and the decision is kept.

Here: marking a scope in one transaction with its row in `ops.decision_log`, and reading raw days again. Not here: how
days are replaced (`orchestration.ingestion.days`).

A mark is what the next ordinary run looks at anyway, so a repair that is killed is finished by the next `assay run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from ml.registry.mirror import Decision, record
from ml.states import Action
from orchestration.ingestion.days import UNFINISHED
from orchestration.ingestion.ingest import ingest_window
from orchestration.reconciliation.derived_tables import CLASSIFIED, ESTIMATES, STORE
from orchestration.reconciliation.findings import Comparison

if TYPE_CHECKING:
    import duckdb

    from orchestration.resources import Assay
    from sources.several import ConfiguredSource

RECONCILIATION = "(reconciliation)"
"""Stands in `ops.decision_log` before the table that was repaired."""

_MARKED = f"to be read again{UNFINISHED}"
_DAY = timedelta(days=1)


def repair_days(
    assay: Assay, one: ConfiguredSource, comparisons: Sequence[Comparison]
) -> tuple[list[date], list[date]]:
    """Read the differing days of one raw table of one source again, under the writer's lock.

    Args:
        assay: The home.
        one: The source, as it is ingested: with what it keeps.
        comparisons: Of the table and of its refused rows.

    Returns:
        Days that were read again, and days that the source does not reach (any more), at its beginning or its end,
        which stay as they are.
    """
    table, name = comparisons[0].raw_table or "", one.config.name
    until = min(one.source.watermark(), assay.as_of)
    days = sorted({day for comparison in comparisons for day in comparison.differing_days})
    # What the source no longer has is not replaced by nothing.
    first_day = one.source.first_known().date()
    reached = [day for day in days if first_day <= day and _start(day) < until]
    if reached:
        with assay.lake.writing(f"repair {len(reached)} days of raw.{table}"):
            with assay.lake.write(f"mark {len(reached)} days of raw.{table}") as con:
                _mark(con, table, name, reached)
                _keep(con, assay, comparisons, f"read {len(reached)} days of {name} again: {_named(reached)}")
            for first, last in _consecutive(reached):
                end = min(_start(last) + _DAY, until)
                ingest_window(assay.lake, one.source, [table], _start(first), end, name=name)
    return reached, [day for day in days if day not in reached]


def repair_derived(assay: Assay, comparison: Comparison) -> str | None:
    """Mark a derived table so that the next `assay run` makes it again; returns what that will do, None: nothing."""
    if comparison.table == STORE:
        from pathlib import Path

        from orchestration.home import store_location
        from serving.store.files import POINTER

        location = store_location(assay.settings)
        what = "the next `assay run` publishes everything again"
        # Without a pointer nothing of the version before is carried on; servers go on with the file they have open.
        # First, so that a kill in between leaves a repair that is not logged, and not the other way round.
        if isinstance(location, Path):
            (location / POINTER).unlink(missing_ok=True)
        with assay.lake.write("keep that the store is published again") as con:
            _keep(con, assay, [comparison], what)
        return what
    if comparison.table == ESTIMATES:
        collections = sorted({str(one.row.key[0]) for one in comparison.listed})
        # Only so many rows are listed: those that are not may be of any collection.
        all_listed = comparison.differing_rows <= len(comparison.listed)
        what = f"the next `assay run` values {len(collections) if all_listed else 'all'} collections again"
        with assay.lake.write(what) as con:
            con.execute(
                f"delete from {ESTIMATES} where not $listed or collection in (select unnest($collections::varchar[]))",
                {"listed": all_listed, "collections": collections},
            )
            _keep(con, assay, [comparison], what)
        return what
    if comparison.table == CLASSIFIED or comparison.table.startswith("marts."):
        what = "the next `assay run` builds all marts again"
        with assay.lake.write(what) as con:
            con.execute("delete from ops.mart_watermark")
            _keep(con, assay, [comparison], what)
        return what
    return None


def _mark(con: duckdb.DuckDBPyConnection, table: str, name: str, days: Sequence[date]) -> None:
    """Make the log say that the days were not over when they were read; days that it has not are entered."""
    given = {"table": table, "source": name, "days": list(days), "mark": _MARKED}
    of_days = "table_name = $table and source = $source and list_contains($days::date[], day)"
    con.execute(f"update ops.ingest_log set fingerprint = $mark where {of_days}", given)
    con.execute(
        "insert into ops.ingest_log by name select $table as table_name, $source as source, day, 0 as rows,"
        " 0 as quarantined, $mark as fingerprint from (select unnest($days::date[]) as day) where day not in"
        " (select day from ops.ingest_log where table_name = $table and source = $source)",
        given,
    )


def _keep(con: duckdb.DuckDBPyConnection, assay: Assay, comparisons: Sequence[Comparison], what: str) -> None:
    first = comparisons[0]
    counts = {
        kind: sum(getattr(one, kind) for one in comparisons)
        for kind in ("rows", "missing", "extra", "changed")
    }
    found = first.problem or (
        f"{counts['missing']:,} rows missing, {counts['extra']:,} extra, {counts['changed']:,} changed"
    )
    reason = f"{first.table} differs from {first.origin}: {found}; {what}"
    decision = Decision(
        decided_at=assay.delivered_until,
        run_id=f"reconcile {uuid4().hex[:12]}",
        collection=f"{RECONCILIATION} {first.table}",
        action=Action.REPAIRED,
        rule="rows_differ",
        reason=reason,
        numbers=counts,
        challenger=None,
        champion=None,
    )
    record(con, [], [decision])


def _consecutive(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last day of each stretch without a gap."""
    first = before = days[0]
    for day in days[1:]:
        if day - before > _DAY:
            yield first, before
            first = day
        before = day
    yield first, before


def _start(day: date) -> datetime:
    return datetime.combine(day, time())


def _named(days: Sequence[date]) -> str:
    shown = ", ".join(map(str, days[:5]))
    return shown if len(days) <= 5 else f"{shown} and {len(days) - 5} more"
