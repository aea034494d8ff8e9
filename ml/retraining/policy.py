"""How many models may be trained or replaced without a person, and on how many sales.

Here: every limit and threshold, and the names of the rules by which a model is replaced. Not here: any decision.
"""

from __future__ import annotations

from dataclasses import dataclass

RULE_PREVIOUS = "previous_better"
RULE_NOT_TRUSTED = "not_trusted"


@dataclass(frozen=True)
class RetrainingPolicy:
    """Limits and thresholds; days and hours are as-of time.

    Attributes:
        enabled: False: nothing is launched, replaced by its previous version or moved to a lower tier; the queue is
            kept and people are notified.
        daily_budget: Collections that may be trained again in one day.
        cap: Collections of one run.
        cooldown_h: Hours after its training before a collection is examined again.
        drift_excess: Excess error that one drifted feature stands for, as a fraction of the price.
        drift_features: Drifted features beyond which the excess does not grow.
        stale_days: A judgement of errors whose newest sale is older does not put a collection into the queue.
        effect_sales: Clean sales before and after a decision without which its effect is not measured.
        effect_most_sales: Sales on each side that are used.
        effect_days: As-of time before a decision of which sales count.
        effect_z: Standard errors from which an effect is more than noise.
        contest_sales: Sales that neither model has seen without which none is put back.
        contest_most_sales: Newest such sales that are priced.
        contest_z: Standard errors by which the other model must have been better.
        contest_gain: Relative fall of the mean |log error| that the other model must bring.
        distrust_z: Standard errors by which `med_5` must beat a model that has been trained again, to take its tier.
        forget_days: A row that is done for so long is deleted.
    """

    enabled: bool = True
    daily_budget: int = 600
    cap: int = 300
    cooldown_h: float = 72
    drift_excess: float = 0.02
    drift_features: int = 5
    stale_days: float = 30
    effect_sales: int = 20
    effect_most_sales: int = 100
    effect_days: float = 60
    effect_z: float = 2.0
    contest_sales: int = 30
    contest_most_sales: int = 400
    contest_z: float = 2.5
    contest_gain: float = 0.02
    distrust_z: float = 3.0
    forget_days: float = 90
