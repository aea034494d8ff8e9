"""What comparing a table with its origin found.

Here: the results, and when the differing rows were written. Not here: the comparisons
(`orchestration.reconciliation.raw_tables`, `orchestration.reconciliation.derived_tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from lake.diff import Difference, RowDifference
from lake.row_history import Moment, last_deleted, last_written
from ml.text.times import utc_second

if TYPE_CHECKING:
    import duckdb

NOT_KNOWN = "no snapshot that can be read has written or deleted it"


@dataclass(frozen=True)
class Scope:
    """What is compared.

    Attributes:
        source: Only the rows of this configured source; None: of all.
        table: Only this table, `schema.table` or its name alone; None: all.
        first, last: Only rows that arrived on these days (UTC, both included); None: without a bound. Tables that have
            no day of arrival are compared as a whole.
        deep: Whether sources are opened without what they keep: a chain or an API is asked for everything again.
        segments: Only these raw tables (without `raw.`) and days of arrival; None: all.
    """

    source: str | None = None
    table: str | None = None
    first: date | None = None
    last: date | None = None
    deep: bool = False
    segments: frozenset[tuple[str, date]] | None = None

    def names(self, table: str) -> bool:
        """Whether a table, given as `schema.table`, is in the scope."""
        return self.table is None or self.table in (table, table.split(".")[1])

    def days_of(self, table: str) -> list[date] | None:
        """The days of a raw table (without `raw.`) that are named one by one; None: none are."""
        return None if self.segments is None else sorted(day for name, day in self.segments if name == table)


@dataclass(frozen=True)
class DayChecked:
    """A day of arrival of one table and source: its rows on both sides, and whether they differ."""

    day: date
    expected_rows: int
    found_rows: int
    differs: bool
    differing_rows: int


@dataclass(frozen=True)
class DatedDifference:
    """A differing row, and since when.

    Attributes:
        row: Which, and what differs.
        since: The snapshot in which it was written (extra, changed) or deleted (missing); None: not known any more.
        note: What is said instead; None: what is known of the snapshot.
    """

    row: RowDifference
    since: Moment | None
    note: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A table against its origin.

    Attributes:
        table: `schema.table`.
        origin: What it was compared with.
        source: Configured source; None where rows of all belong together.
        raw_table: Raw table whose days are read again to repair it; None: it is not a table of schema raw.
        rows: Rows of the table that were compared.
        missing, extra, changed: Differing rows.
        days: What was compared by day of arrival, where the table has one.
        listed: The first differing rows.
        problem: Why it could not be compared, or what is wrong beside rows; None: nothing.
        skipped: Why nothing was compared, where that is no fault; None: it was.
        repair: What was done about the differences; None: nothing.
    """

    table: str
    origin: str
    source: str | None = None
    raw_table: str | None = None
    rows: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0
    days: tuple[DayChecked, ...] = ()
    listed: tuple[DatedDifference, ...] = ()
    problem: str | None = None
    skipped: str | None = None
    repair: str | None = None

    @property
    def differing_rows(self) -> int:
        """Rows that are missing, extra or changed."""
        return self.missing + self.extra + self.changed

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.differing_rows and self.problem is None

    @property
    def differing_days(self) -> list[date]:
        """Days of arrival with differing rows."""
        return sorted(checked.day for checked in self.days if checked.differs)

    def with_difference(self, difference: Difference, listed: Sequence[DatedDifference]) -> Comparison:
        """The same with the rows of one more part; segments that are days are kept as days."""
        one_sided = [*difference.only_expected, *difference.only_found]
        return replace(
            self,
            rows=self.rows + difference.found_rows,
            missing=self.missing + difference.missing,
            extra=self.extra + difference.extra,
            changed=self.changed + difference.changed,
            days=(*self.days, *_days(difference)),
            listed=(*self.listed, *listed),
            problem=f"one side has not the columns {', '.join(one_sided)}" if one_sided else self.problem,
        )


def _days(difference: Difference) -> list[DayChecked]:
    return [
        DayChecked(one.segment, one.expected_rows, one.found_rows, one.differs, one.differing_rows)
        for one in difference.compared
        if isinstance(one.segment, date)
    ]


def dated(
    con: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], rows: Sequence[RowDifference]
) -> list[DatedDifference]:
    """The rows with the snapshots that wrote or deleted them."""

    def keys(*kinds: str) -> list[tuple[Any, ...]]:
        return [row.key for row in rows if row.kind in kinds]

    written = last_written(con, table, key, keys("extra", "changed"))
    deleted = last_deleted(con, table, key, keys("missing"))
    return [
        DatedDifference(row, (deleted if row.kind == "missing" else written).get(row.key)) for row in rows
    ]


def cannot_be_read(error: Exception) -> str:
    """Why a table could not be compared."""
    return f"it could not be compared: {type(error).__name__}: {str(error).splitlines()[0][:300]}"


def described(difference: DatedDifference) -> str:
    """A differing row in a line; values come from outside and are not made safe for a terminal here."""
    row = difference.row
    changes = "; ".join(
        f"{change.column}: expected {_shown(change.expected)}, found {_shown(change.found)}"
        for change in row.changes
    )
    named = ", ".join(_shown(value) for value in row.key)
    since = difference.note or _since(row.kind, difference.since)
    return f"{row.kind}: {named}{f' ({changes})' if changes else ''}; {since}"


def _since(kind: str, moment: Moment | None) -> str:
    if moment is None:
        return "never written, or deleted in a snapshot that has expired" if kind == "missing" else NOT_KNOWN
    at = f" of {_time(moment.made_at)}" if moment.made_at else ""
    what = "deleted" if kind == "missing" else "written, or merged by maintenance,"
    return f"{what} in snapshot {moment.snapshot}{at}"


def _time(moment: datetime) -> str:
    return utc_second(moment)


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
