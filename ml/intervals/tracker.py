"""The online state of the intervals: one quantile per tier, moved by every sale in the order sales became known.

Here: the compiled loop that answers "how wide" for each sale and learns from each sale. Not here: what the quantiles
are for (`ml.intervals.calibration`), or which constants they run with (`ml.intervals.calibration.CalibrationConfig`).

Concept: adaptive conformal inference (Gibbs & Candès 2021) in the form of quantile tracking (Angelopoulos, Candès &
Tibshirani 2023). A tier's quantile q of |error| / scale grows when sales miss it more often than promised and shrinks
when they miss it less, so that coverage returns to nominal after any change of regime without a window having to
forget the past. Steps are relative (ln q moves), because a market whose errors double moves q twice as far in ETH.
Sales that become known at the same time are one step taken together: none of them widens the interval of another,
and a day reported at once cannot move the state as far as a thousand separate sales. A part of every move is shared
by all tiers: a tier with few sales also reacts to a wilder market that other tiers see.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Float = npt.NDArray[np.float64]
Microseconds = npt.NDArray[np.int64]


class Steps(NamedTuple):
    """Constants of the loop; see `calibration.CalibrationConfig` for their meaning."""

    step: float
    shared: float
    batch_rows: float
    warm_rows: float
    first_rows: int


@njit(nogil=True, cache=True, error_model="numpy")
def track(
    error: Any,
    scale: Any,
    tier: Any,
    known_at: Any,
    asks: Any,
    as_of: Any,
    levels: Any,
    tiers: int,
    steps: Any,
) -> Any:
    """Quantiles that each question is answered with, and those after the last sale.

    Args:
        error: |ln price − ln estimate|, shape (n,), sorted by `known_at`; rows that are not finite are ignored.
        scale: Predicted typical |error|, shape (n,); rows without a positive one are ignored.
        tier: Tier of each sale, shape (n,), integers below `tiers`.
        known_at: Ascending, shape (n,).
        asks: Rows in ascending order of `as_of`, shape (m,): the questions.
        as_of: Time of each row, shape (n,); a question sees the sales with known_at < its as_of.
        levels: Promised coverages, shape (k,).
        tiers: Number of tiers.
        steps: Constants.

    Returns:
        Quantiles by row and level, shape (n, k), NaN without a question or before the first `first_rows` sales; the
        final ones, shape (tiers, k), NaN if there never were as many; and sales learnt from by tier, shape (tiers,).
    """
    n, k = len(error), len(levels)
    answers = np.full((n, k), np.nan)
    log_q = np.full((tiers, k), np.nan)
    seen = np.zeros(tiers, np.int64)
    first = np.empty(n)
    gathered, started, p = 0, False, 0
    misses, counts = np.zeros((tiers, k)), np.zeros(tiers, np.int64)
    for question in range(len(asks) + 1):
        last = question == len(asks)
        row = 0 if last else asks[question]
        while p < n and (last or known_at[p] < as_of[row]):
            step_time, misses[:], counts[:] = known_at[p], 0.0, 0
            while p < n and known_at[p] == step_time:
                if np.isfinite(error[p]) and np.isfinite(scale[p]) and scale[p] > 0.0:
                    counts[tier[p]] += 1
                    first[gathered] = error[p] / scale[p]
                    gathered += 0 if started else 1
                    for level in range(k):
                        misses[tier[p], level] += error[p] > scale[p] * np.exp(log_q[tier[p], level])
                p += 1
            seen += counts
            if not started:
                if gathered < steps.first_rows:
                    continue
                ordered = np.sort(first[:gathered])
                for level in range(k):
                    rank = min(int(np.ceil((gathered + 1) * levels[level])), gathered)
                    log_q[:, level] = np.log(max(ordered[rank - 1], 1e-12))
                started = True
                continue
            for t in range(tiers):
                if counts[t] == 0:
                    continue
                size = max(steps.step, 1.0 / (seen[t] + steps.warm_rows)) * min(
                    float(counts[t]), steps.batch_rows
                )
                for level in range(k):
                    move = size * (misses[t, level] / counts[t] - (1.0 - levels[level]))
                    log_q[:, level] += steps.shared * move
                    log_q[t, level] += (1.0 - steps.shared) * move
            for level in range(1, k):  # a promise to hold more is never the narrower one
                log_q[:, level] = np.maximum(log_q[:, level], log_q[:, level - 1])
        if started and not last:
            answers[row] = np.exp(log_q[tier[row]])
    return answers, np.exp(log_q), seen
