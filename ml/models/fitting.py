"""Training a booster: the one place that calls CatBoost's `fit`.

Here: one training at a time in a process. Not here: settings and rows of a booster (`ml.models`, `ml.tuning`), or the
processes that train side by side (`ml.compute.worker_processes`).

Concept: CatBoost asks now and then whether it was interrupted, through one function pointer for the whole process. It
looks whether there is one, and then calls it; each training that ends takes it away, also between the two. The process
then calls address 0 and is gone (docs/adr/0071-one-training-in-a-process.md).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from catboost import CatBoostRegressor, Pool

_ONE_AT_A_TIME = threading.Lock()


def fit(model: CatBoostRegressor, pool: Pool, callbacks: Sequence[Any] | None = None) -> CatBoostRegressor:
    """Train the booster on the pool, when no other thread of this process trains one; returns it."""
    with _ONE_AT_A_TIME:
        return model.fit(pool, callbacks=None if callbacks is None else list(callbacks))
