"""Error-budget arithmetic: how fast it is being spent, what is left, for how long, and whether that is an alert.

Here: pure arithmetic over samples. Not here: where samples come from (`orchestration.slo.evaluation`), storing
(`orchestration.slo.tables`).

Source: Google, The SRE Workbook, chapter 5, "Alerting on SLOs", table 5-6: burn rate 14.4 over 1 h and 5 min, or 6
over 6 h and 30 min, pages; 1 over 3 d and 6 h is a ticket. Both windows of a pair must burn: the long one shows that it
matters, the short one that it still goes on.

An hourly (or daily) evaluation cannot fill a window of five minutes. A window is therefore never shorter than the
usual distance between evaluations: it then holds the newest sample alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from orchestration.states import Severity, SloState


@dataclass(frozen=True)
class BurnRule:
    """Both windows at `rate` times the sustainable burn: then `severity`."""

    rate: float
    long: timedelta
    short: timedelta
    severity: Severity


RULES = (
    BurnRule(14.4, timedelta(hours=1), timedelta(minutes=5), Severity.PAGE),
    BurnRule(6.0, timedelta(hours=6), timedelta(minutes=30), Severity.PAGE),
    BurnRule(1.0, timedelta(days=3), timedelta(hours=6), Severity.TICKET),
)
WINDOWS = tuple(sorted({window for rule in RULES for window in (rule.long, rule.short)}))
WIDEST = WINDOWS[-1]
# The burn that time to exhaustion extrapolates: long enough to be steady, short enough to be now.
EXHAUSTION_WINDOW = timedelta(hours=6)
DEFAULT_CADENCE = timedelta(hours=1)
# Newest evaluations whose distances give the cadence.
CADENCE_SAMPLES = 8


@dataclass(frozen=True)
class Sample:
    """One evaluation of one SLI.

    Attributes:
        slo: Name of the SLO.
        evaluated_at: `as_of` of the evaluation.
        since: The evaluation before, or the start of the period of a first one; counts are of
            [since, evaluated_at).
        good: Good events, at most `valid`.
        valid: Valid events; 0 = no data.
        value: The measured value (value SLIs), in the SLI's unit.
        note: Why there is no data.
    """

    slo: str
    evaluated_at: datetime
    since: datetime
    good: float
    valid: float
    value: float | None = None
    note: str | None = None

    @property
    def sli(self) -> float | None:
        """Share of good events; None without data."""
        return self.good / self.valid if self.valid else None


@dataclass(frozen=True)
class Budget:
    """The error budget of a window.

    Attributes:
        state: ok; burning (a window spends faster than sustainable, not both of a pair); ticket; page; exhausted
            (nothing left, but not burning now); no_data (too few events in the last three days).
        sli: Share of good events over the window.
        good, valid: Events over the window.
        left: Share of the error budget left (negative when overspent); None without data.
        burn: Window → burn rate; None where there are too few events to make one.
        exhausted_in: At the burn of the last hours; 0 when spent; None when nothing burns.
    """

    state: SloState
    sli: float | None
    good: float
    valid: float
    left: float | None
    burn: dict[timedelta, float | None]
    exhausted_in: timedelta | None


def cadence(samples: Sequence[Sample]) -> timedelta:
    """The usual distance between evaluations: the median over the newest ones."""
    times = sorted({sample.evaluated_at for sample in samples})[-CADENCE_SAMPLES:]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return timedelta(seconds=median(gap.total_seconds() for gap in gaps)) if gaps else DEFAULT_CADENCE


def burn_rate(
    samples: Sequence[Sample],
    as_of: datetime,
    window: timedelta,
    objective: float,
    *,
    min_events: float = 1,
    min_bad: float = 1,
) -> float | None:
    """Share of bad events over (as_of − window, as_of] relative to what the objective allows; 1 = exactly sustainable.

    On low traffic a window reaches back until it holds `min_events` valid events, but no further than three days:
    half a window without sales is no recovery, and two events are no rate.

    Args:
        samples: Of one SLO, any order.
        as_of: End of the window.
        window: Its length.
        objective: Promised share of good events.
        min_events: Valid events that make a rate; fewer: None.
        min_bad: Fewer bad events than this count as none.
    """
    good = valid = 0.0
    for sample in sorted(samples, key=lambda s: s.evaluated_at, reverse=True):
        if sample.evaluated_at > as_of:
            continue
        inside = sample.evaluated_at > as_of - window
        if not inside and (valid >= min_events or sample.evaluated_at <= as_of - WIDEST):
            break
        good, valid = good + sample.good, valid + sample.valid
    if not valid or valid < min_events:
        return None
    bad = valid - good
    return (bad if bad >= min_bad else 0.0) / valid / (1 - objective)


def budget(
    samples: Sequence[Sample],
    as_of: datetime,
    *,
    objective: float,
    window: timedelta,
    severity: Severity = Severity.PAGE,
    min_events: float = 1,
    min_bad: float = 1,
) -> Budget:
    """Judge one SLO.

    Args:
        samples: Its samples, any order; those outside (as_of − window, as_of] are ignored.
        as_of: Of the newest evaluation.
        objective: Promised share of good events.
        window: What the error budget is for.
        severity: The most an alert of this SLO may be: `ticket` never pages.
        min_events: Valid events that make a rate (`burn_rate`).
        min_bad: Fewer bad events than this in a window count as none.

    Returns:
        Its budget. What is spent is the burn over the part of the window that was observed, times that part: two
        days of samples cannot have spent more than their share of a month's traffic.
    """
    held = [s for s in samples if as_of - window < s.evaluated_at <= as_of]
    guard = {"min_events": min_events, "min_bad": min_bad}
    spaced = cadence(held)
    burn = {w: burn_rate(held, as_of, max(w, spaced), objective, **guard) for w in WINDOWS}
    good, valid = sum(s.good for s in held), sum(s.valid for s in held)
    overall = burn_rate(held, as_of, window, objective, **guard)
    if overall is None or burn[WIDEST] is None:
        return Budget(SloState.NO_DATA, good / valid if valid else None, good, valid, None, burn, None)
    observed = as_of - max(min(sample.since for sample in held), as_of - window)
    observed = min(max(observed, spaced), window)
    left = 1 - overall * (observed / window)
    current = burn[EXHAUSTION_WINDOW]
    if left <= 0:
        exhausted_in: timedelta | None = timedelta(0)
    else:
        exhausted_in = window * (left / current) if current else None
    return Budget(_state(burn, left, severity), good / valid, good, valid, left, burn, exhausted_in)


def _state(burn: dict[timedelta, float | None], left: float, severity: Severity) -> SloState:
    firing = {rule.severity for rule in RULES if _burns(burn, rule)}
    if Severity.PAGE in firing:
        return SloState(severity)
    if Severity.TICKET in firing:
        return SloState.TICKET
    if left <= 0:
        return SloState.EXHAUSTED
    return SloState.BURNING if any((rate or 0) > 1 for rate in burn.values()) else SloState.OK


def _burns(burn: dict[timedelta, float | None], rule: BurnRule) -> bool:
    return all(rate is not None and rate >= rule.rate for rate in (burn[rule.long], burn[rule.short]))
