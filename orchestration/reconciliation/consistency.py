"""One pass of consistency: compare the segments that are due, keep what was found, say what can be promised.

Here: the order of a pass, without Dagster. Not here: when a segment is due (`orchestration.reconciliation.rechecks`),
the estimate (`orchestration.reconciliation.survival`), comparing (`orchestration.reconciliation.reconcile`).

What is kept is written in one transaction at the end, so a pass that is killed has not been.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ml.tables.ops import CONSISTENCY
from ml.tables.writing import append
from orchestration.reconciliation.findings import Comparison
from orchestration.reconciliation.lives import (
    Life,
    SegmentKey,
    after_check,
    as_segments,
    lives_by_source,
    read_lives,
    read_segments,
    sources_of,
    split,
    write_lives,
)
from orchestration.reconciliation.rechecks import (
    DAILY,
    ConsistencyBound,
    Segments,
    bound_of,
    chosen,
    days_to_next,
    is_due,
)
from orchestration.reconciliation.reconcile import compare_segments
from orchestration.reconciliation.survival import Bounds, Curve, CurvesBySource, Lives, fit_by_source
from sources.protocol import SourceError

if TYPE_CHECKING:
    from orchestration.resources import Assay

ROWS_AT_ONCE = 50_000
"""Rows that a pass compares (and the rest of one segment), where a seventh of the home's rows are fewer."""

PASSES = 7
"""Passes in which every row of a larger home is compared once, as long as all of them are due."""


@dataclass(frozen=True)
class Pass:
    """What one pass did and what follows from all passes until then.

    Attributes:
        checked_at: When, wall clock.
        current: The newest life of each segment there is.
        lives: All lives.
        due: Segments that were due.
        compared: Segments that were compared.
        rows_compared: Their rows.
        problems: What could not be compared, a sentence each.
        curves: What is known of F, by source.
        bound: What can be promised until the next pass.
        bound_without_differences: What the same comparisons would promise, had none ever found a difference.
        seconds: How long it took.
    """

    checked_at: datetime
    current: tuple[Life, ...]
    lives: tuple[Life, ...]
    due: int
    compared: int
    rows_compared: int
    problems: tuple[str, ...]
    curves: Mapping[str, Curve]
    bound: ConsistencyBound
    bound_without_differences: float
    seconds: float

    @property
    def exposure_days(self) -> float:
        """Segment-days that were certainly without a difference."""
        return sum(curve.lives.exposure_days for curve in self.curves.values())

    @property
    def differences(self) -> int:
        """Lives that ended with a difference."""
        return sum(curve.lives.differences for curve in self.curves.values())

    @property
    def method(self) -> str:
        """Which rules give the bounds of the sources."""
        return ", ".join(sorted({curve.method for curve in self.curves.values()}))

    @property
    def differing(self) -> list[Life]:
        """Segments that are known to differ."""
        return [life for life in self.current if life.found_at is not None]


def check_consistency(assay: Assay, rng: np.random.Generator, *, rows_at_once: float | None = None) -> Pass:
    """Compare what is due with its source, and keep what was found.

    Args:
        assay: The home.
        rng: For the segments that are read early.
        rows_at_once: Rows that are compared at most; None: by the size of the home.

    Raises:
        HomeError: The sources of the home are configured with other data.
    """
    began, now = time.monotonic(), assay.clock.now()
    names = [config.name for config in assay.settings.source_configs]
    with assay.lake.read() as con:
        current, past = split(read_lives(con), read_segments(con, names), now)
    segments = as_segments(current, now)
    if rows_at_once is None:
        rows_at_once = max(ROWS_AT_ONCE, segments.rows.sum() / PASSES)
    sources = sources_of(current)
    before = CurvesBySource(fit_by_source(lives_by_source([*past, *current])), sources)
    picked = chosen(before, segments, rng, rows_at_once=rows_at_once)
    wanted: dict[str, list[SegmentKey]] = defaultdict(list)
    for place in picked:
        wanted[current[place].key.source].append(current[place].key)
    differing, problems = _compared(assay, wanted)
    checked = {key for keys in wanted.values() for key in keys if key in differing}

    kept = list(past)
    for place, life in enumerate(current):
        if life.key in checked:
            *ended, current[place] = after_check(life, differing[life.key], now)
            kept += ended
    lives = lives_by_source([*kept, *current])
    after = CurvesBySource(fit_by_source(lives), sources)
    current = _with_next_check(current, after, now)
    flawless = CurvesBySource(fit_by_source({name: _flawless(own) for name, own in lives.items()}), sources)
    ahead = _until_next_pass(current, now)
    done = Pass(
        checked_at=now,
        current=tuple(current),
        lives=(*kept, *current),
        due=int(is_due(before, segments).sum()),
        compared=len(checked),
        rows_compared=sum(life.rows for life in current if life.key in checked),
        problems=tuple(problems),
        curves=after.curves,
        bound=bound_of(after, ahead, sum(life.differing_rows for life in current)),
        bound_without_differences=bound_of(flawless, ahead).bound,
        seconds=time.monotonic() - began,
    )
    if current or past:
        with assay.lake.write("keep which rows were compared with their sources") as con:
            write_lives(con, done.lives)
            append(con, CONSISTENCY.name, pa.Table.from_pylist([_row(done)], schema=CONSISTENCY.arrow()))
    return done


def _compared(
    assay: Assay, wanted: Mapping[str, Collection[SegmentKey]]
) -> tuple[dict[SegmentKey, int], list[str]]:
    """Differing rows of each segment that could be compared, and why others could not be."""
    if not wanted:
        return {}, []
    try:
        found = compare_segments(
            assay, {name: [(key.table_name, key.day) for key in keys] for name, keys in wanted.items()}
        )
    except SourceError as error:
        return {}, [f"no source can be read: {error}"]
    differing = {key: 0 for keys in wanted.values() for key in keys}
    problems = []
    for comparison in found:
        for day in comparison.days:
            key = SegmentKey(comparison.source or "", day.day, comparison.raw_table or "")
            if day.differs and key in differing:
                differing[key] += max(day.differing_rows, 1)
        if comparison.problem is not None:
            problems.append(f"{comparison.table} against {comparison.origin}: {comparison.problem}")
            differing = {key: rows for key, rows in differing.items() if not _is_of(key, comparison)}
    return differing, problems


def _is_of(key: SegmentKey, comparison: Comparison) -> bool:
    """Whether a comparison that failed was one of this segment; one without a raw table was of the whole source."""
    return key.source == comparison.source and comparison.raw_table in (None, key.table_name)


def _flawless(lives: Lives) -> Lives:
    """The same time without a difference, and none ever found."""
    return Lives(np.array([lives.exposure_days]), np.array([np.inf]))


def _with_next_check(current: Sequence[Life], curve: Bounds, now: datetime) -> list[Life]:
    """The lives with the time of their next comparison: what was not compared yet, or differs, is due now."""
    wait = days_to_next(curve, np.array([life.since for life in current], dtype=float))
    return [
        replace(
            life,
            due_at=life.clean_at + timedelta(days=float(days)) if life.is_checked and life.clean_at else now,
        )
        for life, days in zip(current, wait, strict=True)
    ]


def _until_next_pass(current: Sequence[Life], now: datetime) -> Segments:
    """The segments at the end of the time for which something is promised; differing rows are counted apart."""
    segments = as_segments(current, now + timedelta(days=DAILY))
    differs = np.array([life.found_at is not None for life in current], dtype=bool)
    return replace(
        segments,
        since=np.where(differs, segments.age, segments.since),
        is_checked=segments.is_checked | differs,
    )


def _row(done: Pass) -> dict[str, object]:
    return {
        "checked_at": done.checked_at,
        "segments": len(done.current),
        "rows": sum(life.rows for life in done.current),
        "segments_due": done.due,
        "segments_compared": done.compared,
        "rows_compared": done.rows_compared,
        "segments_differing": len(done.differing),
        "rows_differing": done.bound.rows_differing,
        "exposure_days": done.exposure_days,
        "differences": done.differences,
        "method": done.method,
        "bound": done.bound.bound,
        "bound_without_differences": done.bound_without_differences,
        "seconds": done.seconds,
    }
