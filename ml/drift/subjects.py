"""What is watched for drift: every feature, the target, the prediction and its error.

Here: names, kinds and the query that puts them next to each other, one row per sale. Not here: the test.

The concept. Prices enter as gaps to the index, as the models see them: levels trend by themselves in a market where
nothing is wrong. Covariate drift is a feature that moves, prior drift the target or what is predicted for it, concept
drift the error: what the features mean has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml.features.schema import FEATURES
from ml.states import Origin

Kind = Literal["covariate", "prior", "concept"]


@dataclass(frozen=True)
class Subject:
    """One watched column.

    Attributes:
        name: as in monitoring.drift_scores.feature.
        kind: covariate, prior or concept.
        expression: SQL over sale (features.sale_features) and predicted (predictions).
        unknown_is_value: whether missing is a value of its own (the lowest), so that a source that stops reporting is
            a drift; otherwise such sales do not count.
    """

    name: str
    kind: Kind
    expression: str
    unknown_is_value: bool


SUBJECTS: tuple[Subject, ...] = (
    *(Subject(f.name, "covariate", f"sale.{f.name}", True) for f in FEATURES),
    Subject("target_gap", "prior", "sale.target_log - sale.base_log", False),
    Subject("prediction_gap", "prior", "predicted.prediction_log - sale.base_log", False),
    Subject("error", "concept", "sale.target_log - predicted.prediction_log", False),
    Subject("absolute_error", "concept", "abs(sale.target_log - predicted.prediction_log)", False),
)

KEY_ROWS = """
    select sale.collection, known.chain as market, sale.seq, sale.known_at
    from features.sale_features as sale
    left join marts.dim_collections as known on sale.collection = known.collection
"""
"""What `subject_rows` gives without readings: enough to see which windows are full."""

_PREDICTED = f"""
    select sale_id, arg_min(prediction_log, later) as prediction_log from (
        select sale_id, prediction_log, 0 as later from predictions.prior_walk_forward
        union all
        select sale_id, ln(estimate_eth) as prediction_log, 1 as later from monitoring.estimate_ledger
        where estimate_eth > 0 and origin = '{Origin.LIVE}'
    ) group by sale_id
"""


def subject_rows() -> str:
    """SQL for one row per sale with features: collection, market, seq, known_at, `readings` (floats by SUBJECTS).

    A prediction is the walk-forward's; for sales after its last renewal it is the estimate frozen before the sale.
    """
    values = ",\n        ".join(f"cast({_value(subject)} as float)" for subject in SUBJECTS)
    return f"""
    select
        sale.collection,
        known.chain as market,
        sale.seq,
        sale.known_at,
        [{values}] as readings
    from features.sale_features as sale
    left join ({_PREDICTED}) as predicted on sale.sale_id = predicted.sale_id
    left join marts.dim_collections as known on sale.collection = known.collection
    """


#: Stands for "unknown" where that is a value: below every declared bound.
UNKNOWN = -1e30


def _value(subject: Subject) -> str:
    return f"coalesce({subject.expression}, {UNKNOWN})" if subject.unknown_is_value else subject.expression
