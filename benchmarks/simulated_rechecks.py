"""Does the promised bound hold? Segments that go wrong at a known rate, checked as the schedule says, many times over.

    python -m benchmarks.simulated_rechecks [--runs 200] [--segments 2000] [--days 120]

Here: the simulated segments and their checks, day by day, all segments at once. The decisions are those of production
(`orchestration.reconciliation.rechecks`, `orchestration.reconciliation.survival`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from orchestration.reconciliation.rechecks import EARLY_SHARE, TARGET, Segments, bound_of, chosen, is_due
from orchestration.reconciliation.survival import Bounds, Lives, fit
from orchestration.reliability.measured import Figure, write_measurement

REFIT_EVERY = 30
RATES = (0.0, 1e-6, 5e-6)
"""Differences per segment and day; from 1e-4 on not even a check on each day could keep the promise."""


@dataclass(frozen=True)
class Outcome:
    """One simulated history.

    Attributes:
        promised: The bound at its end.
        expected: What the known rate says the share is, given the last checks.
        realised: Share of segments that do differ then.
        checks: Checks after the first of all segments.
        planned: What the schedule says for these: the due ones by their interval, and the early ones.
        found: Differences that were found.
    """

    promised: float
    expected: float
    realised: float
    checks: int
    planned: float
    found: int


def simulate(rate: float, rng: np.random.Generator, segments: int = 2000, days: int = 180) -> Outcome:
    """Check segments of 1 to 1,000 days daily as the schedule says, from a first check of all of them on."""
    age = rng.uniform(1, 1000, segments)
    since = np.zeros(segments)
    # The age at which each goes wrong, in its present life; a repair begins a new life at age 0.
    wrong_at = _next_wrong(rate, rng, segments)
    ended: list[np.ndarray] = []
    rows, checked = np.ones(segments), np.zeros(segments, dtype=bool)
    curve = fit(Lives(np.empty(0), np.empty(0)))
    checks, planned = 0, 0.0
    for day in range(days):
        now = Segments(since, age, rows, checked)
        which = chosen(curve, now, rng)
        if day:
            checks += len(which)
            planned += segments * (1 / _interval(curve) + EARLY_SHARE * (1 - 1 / _interval(curve)))
        bad = which[wrong_at[which] <= age[which]]
        ended.append(np.column_stack([since[bad], age[bad]]))
        since[which], checked[which] = age[which], True
        age[bad] = since[bad] = 0
        wrong_at[bad] = _next_wrong(rate, rng, len(bad))
        if day == 0 or day % REFIT_EVERY == 0 or len(bad):
            over = np.concatenate(ended)
            curve = fit(Lives(np.append(since, over[:, 0]), np.append(np.full(segments, np.inf), over[:, 1])))
        age = age + 1
    final = Segments(since, age, rows, checked)
    return Outcome(
        promised=bound_of(curve, final).bound,
        expected=float((-np.expm1(-rate * (age - since))).mean()),
        realised=float((wrong_at <= age).mean()),
        checks=checks,
        planned=planned,
        found=sum(map(len, ended)),
    )


def _next_wrong(rate: float, rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.exponential(1 / rate, n) if rate > 0 else np.full(n, np.inf)


def _interval(curve: Bounds) -> float:
    """Days between two checks of a segment that the schedule allows, asked once a day (constant rate)."""
    days = np.arange(1.0, 4000.0)
    zeros = np.zeros_like(days)
    due = is_due(curve, Segments(zeros, days, zeros, np.ones_like(days, dtype=bool)))
    return float(days[due.argmax()]) if due.any() else np.inf


def main() -> None:
    """Print one line for each rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--segments", type=int, default=2000)
    parser.add_argument("--days", type=int, default=120)
    given = parser.parse_args()
    print(
        f"{'rate':>8} {'holds':>7} {'kept':>7} {'promised':>9} {'true':>9} {'found':>6} {'checks/planned':>14}"
    )
    figures = []
    for rate in RATES:
        rng = np.random.default_rng(1)
        runs = [simulate(rate, rng, given.segments, given.days) for _ in range(given.runs)]
        holds = float(np.mean([one.promised >= one.expected for one in runs]))
        cost = sum(one.checks for one in runs) / sum(one.planned for one in runs)
        print(
            f"{rate:8.0e} {holds:7.1%}"
            f" {np.mean([one.expected <= TARGET for one in runs]):7.1%}"
            f" {np.mean([one.promised for one in runs]):9.1e} {np.mean([one.expected for one in runs]):9.1e}"
            f" {np.mean([one.found for one in runs]):6.1f} {cost:14.2f}"
        )
        what = f"at {rate:g} differences per segment and day"
        figures += [
            Figure(f"{what}: runs in which the bound held", f"{holds:.1%}", "95 %", holds >= 0.95),
            Figure(f"{what}: checks made for one that was planned", f"{cost:.2f}"),
        ]
    size = f"{given.runs} runs of {given.segments:,} segments and {given.days} days for each rate."
    print(write_measurement("consistency", "python -m benchmarks.simulated_rechecks", figures, [size]))


if __name__ == "__main__":
    main()
