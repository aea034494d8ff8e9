"""The lives of segments as the lake keeps them, in `ops.segment_lives`: begun, compared, ended by a difference.

Here: reading and writing them, what a check does to a life, and the arrays that estimate and schedule work with. Not
here: these (`orchestration.reconciliation.survival`, `orchestration.reconciliation.rechecks`), and comparing.

A life begins when the segment is first seen after its day was over, not with its day: rows of years ago that were read
this morning have been in the lake since this morning. It ends when a check finds a difference. The first check that
finds the segment equal again begins the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from ml.tables import writing
from ml.tables.ops import SEGMENT_LIVES
from orchestration.ingestion.days import UNFINISHED
from orchestration.reconciliation.rechecks import DAILY, Segments
from orchestration.reconciliation.survival import Lives


@dataclass(frozen=True, order=True)
class SegmentKey:
    """A segment: the rows of one source and raw table (without `raw.`) that arrived on one day."""

    source: str
    day: date
    table_name: str


@dataclass(frozen=True)
class Life:
    """A segment from one repair, or from when it was first seen, to its next difference.

    Attributes:
        key: The segment.
        life: Number of the life, from 1.
        begins_at: When it began; wall clock, as all times here.
        clean_at: Newest check that found no difference; None: there was none.
        found_at: Check that found a difference; None: none did.
        due_at: When it is compared next.
        checks: Checks in this life.
        rows: Rows that were ingested, refused ones with them.
        differing_rows: Rows that differed at the newest check.
    """

    key: SegmentKey
    life: int
    begins_at: datetime
    clean_at: datetime | None = None
    found_at: datetime | None = None
    due_at: datetime | None = None
    checks: int = 0
    rows: int = 0
    differing_rows: int = 0

    @property
    def since(self) -> float:
        """Age at the newest clean check, days; 0 without one."""
        return 0.0 if self.clean_at is None else _days(self.clean_at - self.begins_at)

    @property
    def found_by(self) -> float:
        """Age by which it differed, days; infinite: no difference was found."""
        if self.found_at is None:
            return np.inf
        # What differs at the first look did so before it: within the day before the segment is looked for.
        return max(_days(self.found_at - self.begins_at), self.since + DAILY)

    @property
    def is_checked(self) -> bool:
        """Whether it was compared in this life, and was equal when it last was."""
        return self.clean_at is not None and self.found_at is None


def read_segments(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> dict[SegmentKey, int]:
    """The segments of these sources, with their rows: days that were over when they were read."""
    found = con.execute(
        "select source, day, table_name, rows + quarantined from ops.ingest_log"
        " where not ends_with(fingerprint, $unfinished) and list_contains($sources, source) order by all",
        {"unfinished": UNFINISHED, "sources": list(sources)},
    ).fetchall()
    return {SegmentKey(*key): rows for *key, rows in found}


def read_lives(con: duckdb.DuckDBPyConnection) -> list[Life]:
    """All lives, each segment's in their order."""
    found = con.execute(
        "select source, day, table_name, life, begins_at, clean_at, found_at, due_at, checks, rows, differing_rows"
        f" from {SEGMENT_LIVES.name} order by all"
    ).fetchall()
    return [Life(SegmentKey(source, day, table), *rest) for source, day, table, *rest in found]


def write_lives(con: duckdb.DuckDBPyConnection, lives: Iterable[Life]) -> None:
    """Replace all lives, in the caller's transaction."""
    rows = [{**asdict(life), **asdict(life.key)} for life in lives]
    schema = SEGMENT_LIVES.arrow()
    writing.replace(
        con,
        SEGMENT_LIVES.name,
        pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema),
    )


def split(
    lives: Sequence[Life], segments: dict[SegmentKey, int], now: datetime
) -> tuple[list[Life], list[Life]]:
    """The newest life of each segment there is, a segment that is new beginning its first; and all other lives."""
    newest = {life.key: life for life in lives}
    current = [
        replace(newest.get(key) or Life(key, 1, now), rows=rows) for key, rows in sorted(segments.items())
    ]
    numbers = {life.key: life.life for life in current}
    return current, [life for life in lives if numbers.get(life.key) != life.life]


def after_check(life: Life, differing_rows: int, now: datetime) -> list[Life]:
    """What a check makes of a life: itself, or, if the segment is equal again, itself and the next one."""
    checks = life.checks + 1
    if differing_rows:
        found_at = life.found_at or now
        return [replace(life, found_at=found_at, checks=checks, differing_rows=differing_rows)]
    if life.found_at is not None:
        began = max(now, life.found_at)
        return [
            replace(life, differing_rows=0),
            Life(life.key, life.life + 1, began, clean_at=began, checks=1, rows=life.rows),
        ]
    # A clock that was set back takes away no evidence.
    return [replace(life, clean_at=max(now, life.clean_at or now, life.begins_at), checks=checks)]


def lives_by_source(lives: Iterable[Life]) -> dict[str, Lives]:
    """What the estimates are made from."""
    own: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for life in lives:
        own[life.key.source].append((life.since, life.found_by))
    return {source: Lives(*np.array(pairs, dtype=float).T) for source, pairs in sorted(own.items())}


def sources_of(lives: Sequence[Life]) -> np.ndarray:
    """The source of each."""
    return np.array([life.key.source for life in lives], dtype=object)


def as_segments(lives: Sequence[Life], now: datetime) -> Segments:
    """What the schedule decides about."""
    since = np.array([life.since if life.is_checked else 0.0 for life in lives], dtype=float)
    age = np.array([_days(now - life.begins_at) for life in lives], dtype=float)
    return Segments(
        since,
        np.maximum(age, since),
        np.array([life.rows for life in lives], dtype=float),
        np.array([life.is_checked for life in lives], dtype=bool),
    )


def _days(duration: timedelta) -> float:
    """Whole and part days; 0 for a clock that was set back."""
    return max(duration / timedelta(days=1), 0.0)
