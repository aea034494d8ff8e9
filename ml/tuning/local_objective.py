"""What a setting of one collection's booster is worth: prior and weighted residual on folds made once.

Here: scoring settings on one collection's folds. Not here: the gate, which decides whether a booster is used at all
(`ml.training.gate`), or the search (`ml.tuning.study`).

Concept: the booster learns what the prior left over, out of fold, and is added with the weight n / (n + shrink_rows).
The score is the same mean |log error| as for the prior (see `ml.tuning.pooled_objective`), with that weight.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.models.fitting import fit
from ml.models.local import LocalConfig, LocalInputs, local_booster
from ml.tuning.spaces import LOCAL_SPACE, Params, refuse_unknown_fields
from ml.tuning.study import BudgetSpentError, Deadline, TrialFailedError
from ml.tuning.windows import Window

Float = npt.NDArray[np.float64]


@dataclass
class LocalObjective:
    """Scores settings of one collection's booster; see `study.Objective`.

    Attributes:
        inputs: What the booster sees of the collection's sales, in known order, shape (n, …).
        residual_log: ln price − ln out-of-fold prediction of the prior, shape (n,).
        windows: The folds.
        base: The recipe's defaults.
    """

    inputs: LocalInputs
    residual_log: Float
    windows: tuple[Window, ...]
    base: LocalConfig
    _pools: dict[int, tuple[Any, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse a space that the config does not know."""
        refuse_unknown_fields(LOCAL_SPACE, self.base)

    def __getstate__(self) -> dict[str, Any]:
        """Without CatBoost's pools, which cannot be pickled and are made again from the arrays."""
        return {**self.__dict__, "_pools": {}}

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.windows)

    def errors(self, params: Params, fold: int, deadline: Deadline, seed: int | None = None) -> Float:
        """Ln price − ln estimate of the fold's sales with the weighted booster, shape (rows scored,).

        Raises:
            BudgetSpentError: When the deadline passes while fitting.
            TrialFailedError: When CatBoost refuses the settings.
        """
        from catboost import CatBoostError

        config = replace(self.base, **params)
        config = config if seed is None else replace(config, seed=seed)
        train, score = self._pool(fold)
        model = local_booster(config)
        try:
            fit(model, train, callbacks=[deadline])
        except CatBoostError as error:
            raise TrialFailedError(f"fold {fold}: {error}") from error
        if deadline.passed:
            raise BudgetSpentError
        known = self.windows[fold].train
        weight = known / (known + config.shrink_rows)
        return self.residual_log[self.windows[fold].score] - weight * np.asarray(
            model.predict(score, thread_count=1), np.float64
        )

    def _pool(self, fold: int) -> tuple[Any, Any]:
        if fold not in self._pools:
            window, inputs = self.windows[fold], self.inputs
            seen = slice(0, window.train)
            columns = inputs.fit_columns()
            self._pools[fold] = (
                inputs.rows(seen).pool(columns, self.residual_log[seen]),
                inputs.rows(window.score).pool(columns),
            )
        return self._pools[fold]
