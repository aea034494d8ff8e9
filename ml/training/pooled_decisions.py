"""The decisions of a pooled training: is the recipe good enough, and which lost files were fitted again.

Here: the rows for ops.decision_log. Not here: training (`ml.training.pooled`) or writing the rows
(`ml.training.pooled_tables`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.metrics.baselines import BASELINES
from ml.models.frames import SaleFrame
from ml.registry.lost_files import RULE_LOST
from ml.registry.mirror import POOLED, Decision
from ml.states import Action
from ml.tables.writing import timestamp
from ml.training.walk_forward import Restored, WalkForward, prior_version

Float = npt.NDArray[np.float64]


def judge_recipe(
    frame: SaleFrame, result: WalkForward, baselines: dict[str, Float], gate_rows: int, run_id: str
) -> Decision:
    """Approve the recipe if its out-of-fold errors on the newest sales beat every baseline's."""
    priced = np.flatnonzero(result.fold > 0)[-gate_rows:]
    price = frame.target_log[priced]
    errors = {name: _mean_abs(baselines[name][priced] - price) for name in BASELINES}
    errors["index"] = _mean_abs(frame.base_log[priced] - price)
    error = _mean_abs(result.prediction_log[priced] - price)
    strongest = min(errors, key=lambda name: errors[name])
    new, old = result.folds[-1], result.folds[-2] if len(result.folds) > 1 else None
    better = len(priced) > 0 and error < errors[strongest]
    action, rule = (Action.PROMOTED, "beats_baselines") if better else (Action.REJECTED, "baseline_better")
    reason = f"walk-forward mean |log error| {error:.4f} against {errors[strongest]:.4f} of {strongest} on the newest "
    reason += f"{len(priced)} sales"
    numbers = {"n": len(priced), "candidate": error, **errors}
    if len(priced) == 0:
        # No number of an error: there is none, and 0 would be the best of all.
        action, rule, numbers = Action.PROMOTED, "first_prior", {"n": 0}
        reason = "the first prior of the market: no sale is left to compare it on"
    return Decision(
        decided_at=timestamp(int(frame.known_at[-1])),
        run_id=run_id,
        collection=f"{POOLED} {new.market}",
        action=action,
        rule=rule,
        reason=reason,
        numbers=numbers,
        challenger=prior_version(new.prior_sha),
        champion=prior_version(old.prior_sha) if old else None,
    )


def lost_files_decision(frame: SaleFrame, restored: Sequence[Restored], run_id: str) -> Decision:
    """The decision row of a market whose lost files were fitted again."""
    newest = restored[-1]
    same = all(fold.before == fold.after for fold in restored)
    lost = "; ".join(problem for fold in restored for problem in fold.lost)
    return Decision(
        decided_at=timestamp(int(frame.known_at[-1])),
        run_id=run_id,
        collection=f"{POOLED} {newest.after.market}",
        action=Action.REFITTED,
        rule=RULE_LOST,
        reason=f"fitted again from the lake, {'to the same bytes' if same else 'to other bytes'}: {lost}",
        numbers={"folds": [fold.after.number for fold in restored]},
        challenger=prior_version(newest.after.prior_sha),
        champion=prior_version(newest.before.prior_sha),
    )


def _mean_abs(values: Float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).mean()) if len(finite) else 0.0
