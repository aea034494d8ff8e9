"""What a setting of the pooled prior is worth: its walk-forward error on folds that are cut and quantised once.

Here: scoring settings on one market's folds. Not here: where the folds lie (`ml.tuning.windows`), or the search
(`ml.tuning.study`).

Concept: the score is the mean |ln price − ln estimate| over the sales of the folds. It is what the gate compares, so a
setting that wins here is one the gate can see; it weighs a factor of two in either direction alike; and unlike the
median (MdAPE) it moves with every sale, so that two settings can be distinguished by paired differences. MdAPE is
reported with it. A pool depends on the settings only through the number of bins: it is made and quantised once per
fold and number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.models.fitting import fit
from ml.models.frames import SaleFrame
from ml.models.prior import PriorConfig, TooFewRowsError, predict_gap, prior_booster, prior_pool
from ml.tuning.spaces import POOLED_SPACE, Params, refuse_unknown_fields
from ml.tuning.study import BudgetSpentError, Deadline, TrialFailedError
from ml.tuning.windows import Window

Float = npt.NDArray[np.float64]


@dataclass
class PooledObjective:
    """Scores settings of the prior on the folds of one market; see `study.Objective`.

    Attributes:
        frame: The market's sales; only rows that a window names are touched.
        windows: The folds.
        base: The recipe's defaults, with the rows a fit of the study may use (`max_rows`).
    """

    frame: SaleFrame
    windows: tuple[Window, ...]
    base: PriorConfig
    _pools: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse a space that the config does not know."""
        refuse_unknown_fields(POOLED_SPACE, self.base)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.windows)

    def errors(self, params: Params, fold: int, deadline: Deadline, seed: int | None = None) -> Float:
        """Ln price − ln estimate of the fold's sales, shape (rows scored,).

        Raises:
            BudgetSpentError: When the deadline passes while fitting.
            TrialFailedError: When CatBoost or the data refuse the settings.
        """
        from catboost import CatBoostError

        window, frame = self.windows[fold], self.frame
        config = replace(self.base, **params)
        config = config if seed is None else replace(config, seed=seed)
        model = prior_booster(config)
        try:
            fit(model, self._pool(fold, config), callbacks=[deadline])
        except (CatBoostError, TooFewRowsError) as error:
            raise TrialFailedError(f"fold {fold}: {error}") from error
        if deadline.passed:
            raise BudgetSpentError
        rows = window.score
        predicted = frame.base_log[rows] + predict_gap(model, frame.features[rows], config.threads)
        return frame.target_log[rows] - predicted

    def _pool(self, fold: int, config: PriorConfig) -> Any:
        key = (fold, config.border_count)
        if key not in self._pools:
            seen, frame = slice(0, self.windows[fold].train), self.frame
            pool = prior_pool(frame.features[seen], frame.gap_log[seen], frame.collection[seen], self.base)
            pool.quantize(border_count=config.border_count)
            self._pools[key] = pool
        return self._pools[key]
