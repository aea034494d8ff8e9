"""A recipe is approved by errors on sales that it had not seen; without any, no error is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ml.metrics.baselines import BASELINES
from ml.models.frames import SaleFrame
from ml.training.pooled_decisions import judge_recipe
from ml.training.walk_forward import Fold, WalkForward

N = 40


def decide(fold: np.ndarray, error: float):
    """The decision on N sales of which those of a positive fold were predicted `error` off, the baselines 0.2."""
    zeros, target = np.zeros(N), np.linspace(-1, 1, N)
    frame = SaleFrame(
        sale_id=pa.chunked_array([[str(i) for i in range(N)]]),
        collection=np.zeros(N, np.int64),
        collections=["apes"],
        chains=["ethereum"],
        seq=np.arange(1, N + 1),
        known_at=np.arange(N) * 1_000_000,
        as_of=np.arange(N) * 1_000_000,
        target_log=target,
        base_log=target + 0.3,
        floor_log=zeros,
        features=np.zeros((N, 1), np.float32),
    )
    walked = WalkForward(
        folds=(Fold("ethereum", 1, 0, N, "ab" * 32, None),),
        fold=fold,
        prediction_log=target + error,
        scale=zeros,
        tier=np.zeros(N, np.int8),
        half_80=zeros,
        half_90=zeros,
    )
    return judge_recipe(frame, walked, dict.fromkeys(BASELINES, target + 0.2), 30, "run")


@pytest.mark.parametrize(("error", "action"), [(0.1, "promoted"), (0.25, "rejected")])
def test_a_recipe_is_judged_by_the_strongest_baseline(error, action):
    decision = decide(np.ones(N, np.int64), error)
    assert decision.action == action
    assert decision.numbers["n"] == 30
    assert decision.numbers["candidate"] == pytest.approx(error)


def test_the_first_prior_has_no_error_to_show():
    decision = decide(np.zeros(N, np.int64), 0.1)
    assert (decision.action, decision.rule) == ("promoted", "first_prior")
    assert decision.numbers == {"n": 0}
    assert "0.0000" not in decision.reason
