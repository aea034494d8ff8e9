"""The gate: which challenger becomes champion, and why.

Here: pure decisions from errors on a collection's newest sales, as words and numbers. Not here: fitting,
registering.

Concept: twenty sales under one constant model give anything from 9 to 40 % error (docs/domain.md, section 3), so
no single comparison on a short window may carry a decision alone. The local booster must win twice: on an
earlier window that chooses its weight, and on the newest window, against the prior alone, every baseline, and
the current champion on sales neither has seen. The pooled prior was judged on the sales of all collections;
a collection departs from it only when its own newest sales contradict it beyond noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.states import Action, Tier

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GateConfig:
    """Thresholds of the decisions.

    Attributes:
        min_rows: Sales below which a window decides nothing.
        pooled_min_sales: Sales of a collection below which the pooled prior is not used (docs/domain.md, section 6).
        weight_margin: Relative fall of the mean |log error| that a weight must bring on the earlier window.
        weights: Shares of n / (n + shrink_rows) that are tried.
        champion_tolerance: Relative excess of the challenger's mean |log error| over the champion's that is
            still "not worse".
        contradiction_z: Standard errors by which a baseline must beat the pooled prior to displace it.
    """

    min_rows: int = 20
    pooled_min_sales: int = 5
    weight_margin: float = 0.01
    weights: tuple[float, ...] = (0.5, 1.0)
    champion_tolerance: float = 0.0
    contradiction_z: float = 2.5


@dataclass(frozen=True)
class Verdict:
    """What the gate decided for one collection.

    Attributes:
        action: promoted, rejected, kept or fell_back.
        rule: The rule that decided, one word.
        reason: The same for people, with the numbers that mattered.
        tier: Tier of the challenger.
        numbers: Everything measured; errors are mean |log error|.
    """

    action: str
    rule: str
    reason: str
    tier: str
    numbers: dict[str, Any]


def choose_weight(
    prior_error: Float, local: Float, ceiling: float, config: GateConfig
) -> tuple[float, float]:
    """The weight of the local residual that an earlier window supports.

    Args:
        prior_error: ln price − ln prior estimate on the window, shape (n,).
        local: The local booster's residual there, shape (n,).
        ceiling: n / (n + shrink_rows) of the collection.
        config: Thresholds.

    Returns:
        The weight (0 when nothing clears the margin) and its relative gain.
    """
    if len(prior_error) < config.min_rows:
        return 0.0, 0.0
    alone = float(np.abs(prior_error).mean())
    gains = [
        1.0 - float(np.abs(prior_error - share * ceiling * local).mean()) / alone for share in config.weights
    ]
    best = int(np.argmax(gains))
    if gains[best] < config.weight_margin:
        return 0.0, gains[best]
    return round(config.weights[best] * ceiling, 4), gains[best]


def judge(
    sales: int,
    with_local: bool,
    candidate: Float,
    prior: Float,
    baselines: Mapping[str, Float],
    champion: Float | None,
    has_champion: bool,
    config: GateConfig,
) -> Verdict:
    """Decide on a challenger by its errors on the newest window.

    Args:
        sales: Sales of the collection with an out-of-fold prediction.
        with_local: Whether the challenger has a local booster.
        candidate: |log error| of the challenger (prior and weighted local residual), shape (n,).
        prior: |log error| of the prior alone, shape (n,).
        baselines: |log error| of each baseline and of the index alone ("index"), shape (n,), NaN where it had
            no value.
        champion: |log error| of the current champion, shape (n,), NaN on sales that it has seen or that
            another prior priced; None without one that can be compared.
        has_champion: Whether there is a champion.
        config: Thresholds.

    Returns:
        The verdict. With action promoted or fell_back the challenger becomes champion with `tier`; with
        rejected the current champion stays.
    """
    n = len(candidate)
    tier = Tier.OWN if with_local else Tier.POOLED
    if sales < config.pooled_min_sales:
        reason = f"{sales} sales with an index; the pooled prior starts at {config.pooled_min_sales}"
        return Verdict(Action.PROMOTED, "too_few_sales", reason, Tier.INDEX, {"sales": sales})
    if n < config.min_rows:
        reason = f"{n} newest sales decide nothing: the prior stands on the evidence of all collections"
        return Verdict(Action.PROMOTED, "shared_evidence", reason, Tier.POOLED, {"sales": sales, "n": n})
    errors = {name: _mean(values) for name, values in baselines.items()}
    error, strongest = _mean(candidate), min(errors, key=lambda name: errors[name])
    numbers: dict[str, Any] = {"sales": sales, "n": n, "candidate": error, "prior": _mean(prior), **errors}
    if champion is not None and (common := np.isfinite(champion)).sum() >= config.min_rows:
        theirs, ours = _mean(champion[common]), _mean(candidate[common])
        numbers |= {"champion": theirs, "candidate_vs_champion": ours, "n_vs_champion": int(common.sum())}
        if ours > theirs * (1.0 + config.champion_tolerance):
            reason = (
                f"mean |log error| {ours:.4f} against the champion's {theirs:.4f} on {common.sum()} new sales"
            )
            return Verdict(Action.REJECTED, "champion_better", reason, tier, numbers)
    z = _contradiction(candidate, baselines[strongest])
    numbers |= {"strongest_baseline": strongest, "contradiction_z": z}
    against = f"mean |log error| {error:.4f} against {errors[strongest]:.4f} of {strongest} on {n} sales"
    if z <= config.contradiction_z:
        rule = "beats_baselines" if error <= errors[strongest] else "not_contradicted"
        return Verdict(Action.PROMOTED, rule, against, tier, numbers)
    if has_champion:
        return Verdict(Action.REJECTED, "baseline_better", against, tier, numbers)
    return Verdict(Action.FELL_BACK, "baseline_better", against, Tier.INDEX, numbers)


def local_earns_its_place(candidate: Float, prior: Float, baselines: Mapping[str, Float]) -> bool:
    """Whether prior and local residual beat the prior alone and every baseline on the newest window."""
    error = _mean(candidate)
    return error < _mean(prior) and all(error < _mean(values) for values in baselines.values())


def _mean(values: Float) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("inf")


def _contradiction(candidate: Float, baseline: Float) -> float:
    """Standard errors by which the baseline's paired |log error| is smaller than the candidate's."""
    difference = (candidate - baseline)[np.isfinite(baseline)]
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    if spread == 0.0:
        return 0.0
    return float(difference.mean() / (spread / np.sqrt(len(difference))))
