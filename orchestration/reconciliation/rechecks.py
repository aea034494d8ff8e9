"""When a segment of rows is compared again, and what can be promised meanwhile.

Here: pure decisions over arrays of segments. Not here: the estimate that they rest on
(`orchestration.reconciliation.survival`), and comparing.

A segment is due before the upper bound of its probability to differ, given that it did not at its last check, reaches
the target. A few others are read early at random: the estimate would otherwise rest on checks at the longest interval
that it allows itself, and would notice late that a rate has grown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.reconciliation.survival import Bounds

TARGET = 1e-4
"""Share of inconsistent rows that is promised, with the confidence of the estimate."""

EARLY_SHARE = 0.002
"""Share of the segments that are not due and are read all the same, each day."""

DAILY = 1.0
"""Days to the next time that it is asked what is due."""

LONGEST = 1024
"""Days after which a segment is compared again whatever the estimate says of it."""


@dataclass(frozen=True)
class Segments:
    """Segments, as arrays of one length.

    Attributes:
        since: Age at the last clean check, days; 0 for one that was not checked in this life.
        age: Age now, days.
        rows: Rows.
        is_checked: Whether it was ever compared.
    """

    since: np.ndarray
    age: np.ndarray
    rows: np.ndarray
    is_checked: np.ndarray


@dataclass(frozen=True)
class ConsistencyBound:
    """What can be said of all rows: the public number.

    Attributes:
        rows_compared: Rows that were compared at least once.
        rows_differing: Rows that were found to differ and are not repaired.
        bound: With the confidence of the estimate at most this share of the rows is expected to be inconsistent;
            rows that were never compared count as inconsistent.
    """

    rows_compared: int
    rows_differing: int
    bound: float


def is_due(curve: Bounds, segments: Segments, target: float = TARGET, ahead: float = DAILY) -> np.ndarray:
    """Whether each segment's bound would exceed the target before it is asked again, `ahead` days from now."""
    risk = curve.upper(segments.since, segments.age + ahead)
    return ~segments.is_checked | (risk > target) | (segments.age - segments.since >= LONGEST)


def days_to_next(curve: Bounds, since: np.ndarray, target: float = TARGET) -> np.ndarray:
    """Whole days from a clean check to the next one, asked once a day: at least 1, at most `LONGEST`.

    Args:
        curve: What is known of F.
        since: Age at the clean check, days.
        target: See `is_due`.
    """
    low, high = np.ones(len(since)), np.full(len(since), float(LONGEST))
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        exceeds = curve.upper(since, since + middle + DAILY) > target
        low, high = np.where(exceeds, low, np.minimum(middle + 1, high)), np.where(exceeds, middle, high)
    return low


def chosen(
    curve: Bounds,
    segments: Segments,
    rng: np.random.Generator,
    *,
    rows_at_once: float = np.inf,
    target: float = TARGET,
    early: float = EARLY_SHARE,
) -> np.ndarray:
    """Which segments are compared now: those that are due, the greatest risk first, and some early ones at random.

    Segments that are alike keep their order: neighbours cost their source less.

    Args:
        curve: What is known of F.
        segments: All segments.
        rng: For the early ones.
        rows_at_once: Rows after which no further segment is begun: the last one is compared whatever its size.
        target: See `is_due`.
        early: See `EARLY_SHARE`.
    """
    due = is_due(curve, segments, target)
    wanted = due | (rng.random(len(due)) < early)
    risk = np.where(segments.is_checked, curve.upper(segments.since, segments.age + DAILY), 1.0)
    order = np.flatnonzero(wanted)
    waited = segments.age - segments.since
    # As long as nothing is known every risk is 1: what was never compared comes first, then what waits longest.
    order = order[np.lexsort((-waited[order], -risk[order], segments.is_checked[order], ~due[order]))]
    before = np.cumsum(segments.rows[order]) - segments.rows[order]
    return order[before < rows_at_once]


def bound_of(curve: Bounds, segments: Segments, rows_differing: int = 0) -> ConsistencyBound:
    """What the checks until now allow to say about all rows."""
    rows = float(segments.rows.sum())
    compared = int(segments.rows[segments.is_checked].sum())
    if not rows:
        return ConsistencyBound(0, rows_differing, 0.0)
    risk = np.where(segments.is_checked, curve.upper(segments.since, segments.age), 1.0)
    share = (float((risk * segments.rows).sum()) + rows_differing) / rows
    return ConsistencyBound(compared, rows_differing, min(share, 1.0))
