"""Windows of a study, nested in time: folds to tune on, and a later window that judges what was found.

Here: where they lie. Not here: what is fitted in them.

Concept: a search over settings fits the noise of the sales it is scored on; the measured error of the best of thirty
trials is too low. So the newest sales are never scored during the search. What the search picks is scored on them once,
next to the settings in force, and is adopted only if it wins there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WindowConfig:
    """Where the windows lie, as shares of the scope's sales in known order.

    Attributes:
        first: Share of the tuning period before the first fold is scored.
        folds: Folds scored in the tuning period.
        later: Share of all sales in the later window.
        refits: Fits of each setting along the later window.
    """

    first: float = 0.5
    folds: int = 3
    later: float = 0.2
    refits: int = 2


@dataclass(frozen=True)
class Window:
    """One fit: everything known before the cutoff is learnt, sales that could see up to it are scored.

    Attributes:
        cutoff: Microseconds since the epoch.
        train: Number of leading rows with known_at before the cutoff.
        score: Rows with as_of from the cutoff up to the next one.
    """

    cutoff: int
    train: int
    score: Rows


@dataclass(frozen=True)
class Windows:
    """The windows of a study.

    Attributes:
        tuning: Folds of the search, oldest first; all their sales are before `later_from`.
        later: Folds of the judgement.
        later_from: Where the later window begins, microseconds.
        until: Newest `known_at`, microseconds; decisions get this time.
    """

    tuning: tuple[Window, ...]
    later: tuple[Window, ...]
    later_from: int
    until: int


class TooFewSalesError(ValueError):
    """A scope has too few sales for windows that show anything."""


MIN_SCORED = 100
"""Sales below which a window's error is a coin toss (docs/domain.md, section 3)."""


def split_windows(known_at: Rows, as_of: Rows, config: WindowConfig) -> Windows:
    """Cut a scope's sales into a tuning period and a later window.

    Args:
        known_at: Microseconds since the epoch, ascending, shape (n,).
        as_of: What each sale's features could see ends strictly before it, shape (n,).
        config: Shares.

    Raises:
        TooFewSalesError: When a window would score fewer than `MIN_SCORED` sales.
    """
    n = len(known_at)
    period = int((1.0 - config.later) * n)
    starts = [int(share * period) for share in np.linspace(config.first, 1.0, config.folds + 1)]
    later = [int(share) for share in np.linspace(period, n, config.refits + 1)]
    cuts = [*starts[:-1], *later[:-1]]
    if n == 0 or cuts[0] == 0:
        raise TooFewSalesError(f"expected sales to tune on, found {n}")
    # At the cutoff the sale that defines it is not known yet: fits end strictly before.
    cutoffs = [int(known_at[cut]) for cut in cuts]
    uppers = [*cutoffs[1:], int(np.iinfo(np.int64).max)]
    made = []
    for cutoff, upper in zip(cutoffs, uppers, strict=True):
        score = np.flatnonzero((as_of >= cutoff) & (as_of < upper))
        made.append(Window(cutoff, int(np.searchsorted(known_at, cutoff)), score))
    # A sale may become known late: what the search scores must itself be known before the later window begins.
    begins = made[config.folds].cutoff
    tuning = [Window(w.cutoff, w.train, w.score[known_at[w.score] < begins]) for w in made[: config.folds]]
    windows = Windows(tuple(tuning), tuple(made[config.folds :]), begins, int(known_at[-1]))
    thin = [len(w.score) for w in (*windows.tuning, *windows.later) if len(w.score) < MIN_SCORED]
    if thin:
        raise TooFewSalesError(
            f"expected at least {MIN_SCORED} sales in every window, found one with {min(thin)} of {n} sales; "
            "tune again when there are more"
        )
    return windows
