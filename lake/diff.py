"""Keyed difference of two relations, or of two snapshots of one table: counts and hashes by segment, then rows.

Here: comparing what two queries give on one connection. Not here: which relations should be equal, nor what is done
about a difference.

When two values are equal, one rule for counts, hashes and rows: both sides are brought to the type that DuckDB's UNION
gives them, and then null equals null and nothing else, NaN equals NaN, -0.0 equals 0.0, decimals are equal by value
whatever their scale, times by the instant, text by its bytes, lists by their elements in order; an empty list
is neither null nor a list of null. Numbers have no tolerance.

A segment's hash is the sum of the 64-bit hashes of its rows as a 128-bit integer. A sum, because in an xor two equal
rows cancel. The hashes are DuckDB's, which may change with its version: they are never stored (ADR 48).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from lake.errors import DiffError
from lake.storage import quoted

BUCKETS = 256
"""Segments of a comparison that names none: rows by the hash of their key."""

ROWS_LISTED = 100
"""Differing rows that are listed; all of them are counted."""

_SEGMENTS, _ROWS = "differing_segments", "differing_rows"
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


@dataclass(frozen=True)
class Segment:
    """A segment that was compared.

    Attributes:
        segment: Its value.
        expected_rows, found_rows: Rows of both sides.
        differs: Whether count or hash differ.
        differing_rows: Rows that are missing, extra or changed; one that moved between segments counts in one of them.
    """

    segment: Any
    expected_rows: int
    found_rows: int
    differs: bool
    differing_rows: int = 0


@dataclass(frozen=True)
class ColumnChange:
    """A column of a row, and its value on both sides as text; None: null."""

    column: str
    expected: str | None
    found: str | None


@dataclass(frozen=True)
class RowDifference:
    """One differing row.

    Attributes:
        kind: missing (only expected), extra (only found) or changed.
        segment: Its segment.
        key: Values of the key columns.
        changes: Columns that differ, of a changed row.
    """

    kind: str
    segment: Any
    key: tuple[Any, ...]
    changes: tuple[ColumnChange, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What comparing two relations found.

    Attributes:
        expected_rows, found_rows: Rows of both sides.
        columns: Columns that were compared.
        only_expected, only_found: Columns that one side has not.
        compared: All segments.
        missing, extra, changed: Differing rows; 0 as long as rows were not compared.
        rows: The first of them, in the order of segment and key.
    """

    expected_rows: int
    found_rows: int
    columns: tuple[str, ...]
    only_expected: tuple[str, ...]
    only_found: tuple[str, ...]
    compared: tuple[Segment, ...]
    missing: int = 0
    extra: int = 0
    changed: int = 0
    rows: tuple[RowDifference, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Segments that differ."""
        return tuple(one for one in self.compared if one.differs)

    @property
    def is_empty(self) -> bool:
        """Whether both sides have the same columns and rows."""
        return not (self.segments or self.only_expected or self.only_found)

    @property
    def differing_rows(self) -> int:
        """Rows that are missing, extra or changed."""
        return self.missing + self.extra + self.changed


def at_snapshot(table: str, snapshot: int | None) -> str:
    """A query of a table of the lake as it was at a snapshot; None: as it is."""
    return f"select * from {table}" + ("" if snapshot is None else f" at (version => {int(snapshot)})")


def compare(
    con: duckdb.DuckDBPyConnection,
    expected: str,
    found: str,
    key: Sequence[str],
    *,
    segment: str | None = None,
    ignored: Sequence[str] = (),
    listed: int = ROWS_LISTED,
) -> Difference:
    """Compare two relations: count and hash by segment, then row by row in the segments that differ.

    Several rows with the same key are paired in the order of all their columns; what is left over is missing or extra.

    Args:
        con: A connection that sees both.
        expected: Query of the rows there should be.
        found: Query of the rows there are.
        key: Columns that name a row.
        segment: SQL expression over the columns, such as `cast(known_at as date)`; None: buckets of the key.
        ignored: Columns that are not compared.
        listed: How many differing rows are listed; 0 leaves it at segments.

    Raises:
        DiffError: A side lacks a column of the key, or a column's types cannot be compared.
    """
    types, only_expected, only_found = _shared_types(con, expected, found, key, ignored)
    segment = segment or f"hash({_list(key)}) % {BUCKETS}"
    sides = {"expected": _cast(expected, types), "found": _cast(found, types)}
    try:
        compared = _compare_segments(con, sides, types, segment)
        totals = sum(one.expected_rows for one in compared), sum(one.found_rows for one in compared)
        difference = Difference(*totals, tuple(types), only_expected, only_found, compared)
        if not difference.segments or not listed:
            return difference
        return _compare_rows(con, difference, sides, types, key, segment, listed)
    finally:
        for name in (_SEGMENTS, _ROWS):
            con.execute(f"drop table if exists temp.{name}")


def _shared_types(
    con: duckdb.DuckDBPyConnection, expected: str, found: str, key: Sequence[str], ignored: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Types of the columns that both sides have; then the columns of one side only."""
    names = [
        [str(row[0]) for row in con.execute(f"describe ({side})").fetchall() if row[0] not in ignored]
        for side in (expected, found)
    ]
    shared = [name for name in names[0] if name in names[1]]
    lacking = [name for name in key if name not in shared]
    if lacking or not key:
        raise DiffError(
            f"Expected the key ({', '.join(key) or 'no column'}) on both sides, found no column "
            f"{', '.join(lacking) or 'in the key'} on one of them. Name columns that both have."
        )
    both = f"select {_list(shared)} from ({expected}) union all select {_list(shared)} from ({found})"
    try:
        types = {str(row[0]): str(row[1]) for row in con.execute(f"describe ({both})").fetchall()}
    except duckdb.Error as error:
        raise DiffError(
            f"Expected columns of comparable types on both sides, found others: {str(error)[:300]}"
        ) from error
    nested = [name for name, kind in types.items() if kind.startswith(_NESTED)]
    if nested:
        raise DiffError(
            f"Expected columns of numbers, text, times, flags or lists, found {', '.join(nested)} of type "
            f"{types[nested[0]]}. Leave it out, or compare its parts."
        )
    only_expected, only_found = (tuple(n for n in one if n not in shared) for one in names)
    return types, only_expected, only_found


def _compare_segments(
    con: duckdb.DuckDBPyConnection, sides: dict[str, str], types: dict[str, str], segment: str
) -> tuple[Segment, ...]:
    """Compare the segments, and make the table of those that differ."""
    row_hash = f"hash({', '.join(_hashed(_name(column), kind) for column, kind in types.items())})"
    counted = {
        side: f"select {segment} as _segment, count(*) as n, sum({row_hash}::hugeint) as h from ({query}) group by 1"
        for side, query in sides.items()
    }
    con.execute(
        f"""
        create or replace temp table {_SEGMENTS} as
        with e as ({counted["expected"]}), f as ({counted["found"]})
        select coalesce(e._segment, f._segment) as _segment, coalesce(e.n, 0) as _expected_rows,
            coalesce(f.n, 0) as _found_rows, e.n is distinct from f.n or e.h is distinct from f.h as _differs
        from e full join f on e._segment is not distinct from f._segment
        """
    )
    rows = con.execute(f"from {_SEGMENTS} order by _segment").fetchall()
    con.execute(f"delete from temp.{_SEGMENTS} where not _differs")
    return tuple(Segment(*row) for row in rows)


def _compare_rows(
    con: duckdb.DuckDBPyConnection,
    difference: Difference,
    sides: dict[str, str],
    types: dict[str, str],
    key: Sequence[str],
    segment: str,
    listed: int,
) -> Difference:
    columns, keys = _list(types), _list(key)
    inside = {
        side: f"select {columns} from ({query}) as given semi join temp.{_SEGMENTS} as differing"
        f" on ({segment}) is not distinct from differing._segment"
        for side, query in sides.items()
    }
    numbered = {
        side: f"select *, row_number() over (partition by {keys} order by {columns}) as _position"
        f" from ({inside[side]} except all {inside[other]})"
        for side, other in (("expected", "found"), ("found", "expected"))
    }
    same_key = " and ".join(f"e.{_name(c)} is not distinct from f.{_name(c)}" for c in (*key, "_position"))
    changes = ", ".join(
        f"case when e.{_name(c)} is distinct from f.{_name(c)} then"
        f" [{quoted(c)}, e.{_name(c)}::varchar, f.{_name(c)}::varchar] end"
        for c in types
        if c not in key
    )
    both = ", ".join(f"coalesce(e.{_name(c)}, f.{_name(c)}) as {_name(c)}" for c in types)
    con.execute(
        f"""
        create or replace temp table {_ROWS} as
        with e as ({numbered["expected"]}), f as ({numbered["found"]}),
        paired as (
            select {both}, case when f._position is null then 'missing' when e._position is null then 'extra'
                else 'changed' end as _kind,
                case when e._position is not null and f._position is not null
                    then list_filter([{changes}]::varchar[][], lambda change: change is not null) end as _changes
            from e full join f on {same_key}
        )
        select _kind, {segment} as _segment, _changes, {keys} from paired
        """
    )
    counts = dict(con.execute(f"select _kind, count(*) from {_ROWS} group by _kind").fetchall())
    rows = con.execute(
        f"select _kind, _segment, _changes, {keys} from {_ROWS} order by _segment, {keys}, _kind limit {int(listed)}"
    ).fetchall()
    of_segment = dict(con.execute(f"select _segment, count(*) from {_ROWS} group by 1").fetchall())
    return replace(
        difference,
        compared=tuple(
            replace(one, differing_rows=of_segment.get(one.segment, 0)) for one in difference.compared
        ),
        missing=counts.get("missing", 0),
        extra=counts.get("extra", 0),
        changed=counts.get("changed", 0),
        rows=tuple(
            RowDifference(kind, segment, tuple(values), tuple(ColumnChange(*one) for one in changes or ()))
            for kind, segment, changes, *values in rows
        ),
    )


def _cast(query: str, types: dict[str, str]) -> str:
    """A side with the shared columns in the shared types."""
    columns = ", ".join(
        f"{_equalized(f'{_name(column)}::{kind}', kind)} as {_name(column)}" for column, kind in types.items()
    )
    return f"select {columns} from ({query})"


def _equalized(value: str, kind: str) -> str:
    """A value in the one form of those that are equal: DuckDB tells -0.0 and the signs of NaN apart in text."""
    if kind.endswith("[]"):
        inner = _equalized("element", kind[:-2])
        return value if inner == "element" else f"list_transform({value}, lambda element: {inner})"
    if kind in ("DOUBLE", "FLOAT"):
        return f"(case when isnan({value}) then 'nan' when {value} = 0 then 0 else {value} end)::{kind}"
    return value


def _hashed(value: str, kind: str) -> str:
    """What is hashed of a value: DuckDB gives null, [] and [null] one hash, and ([1], [2]) that of ([1, 2], [])."""
    return f"{value}::varchar" if kind.endswith("[]") else value


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _list(columns: Sequence[str] | dict[str, str]) -> str:
    return ", ".join(map(_name, columns))
