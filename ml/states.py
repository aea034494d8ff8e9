"""The words that the lake stores for tiers, actions and states, each named once.

Here: the words. Not here: who decides (`ml.training.gate`, `ml.retraining`, `ml.drift`). A member is its own text, so
it can be compared with a stored value and put into SQL; a word is never renamed without a step in `lake.migrations`.
"""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """What prices a token, best first."""

    OWN = "own_model"
    POOLED = "pooled"
    INDEX = "index_rarity"
    NONE = "none"


class NoValue(StrEnum):
    """Why a token has no value."""

    FEW_SALES = "fewer_than_3_sales"
    INACTIVE = "silent_over_90_days"
    NO_FEATURES = "no_features"
    NOT_VALUED = "not_valued"
    IMPLAUSIBLE = "implausible_value"
    SET_ASIDE = "set_aside"
    NOT_ESTIMATED = "not_estimated_before"
    UNKNOWN_TOKEN = "unknown_token"


class Basis(StrEnum):
    """Whether and how the cost of a lot is known (`marts.fct_acquisitions`, `predictions.realized_gains`)."""

    KNOWN = "known"
    MINTED = "minted"
    # Moved between wallets of one owner: cost and date go along. Not in the marts, which know no owners.
    CARRIED = "carried"
    AIRDROPPED = "airdropped"
    UNKNOWN = "unknown"


class LotMethod(StrEnum):
    """Which lot a disposal takes units from, where a token has several units."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    AVERAGE = "average"


class Action(StrEnum):
    """What was decided about a model, or about rows that differ from their origin (`ops.decision_log`)."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    KEPT = "kept"
    FELL_BACK = "fell_back"
    ROLLED_BACK = "rolled_back"
    REFITTED = "refitted"
    TUNED = "tuned"
    NOT_TUNED = "not_tuned"
    REPAIRED = "repaired"
    # Not stored: what an examination or a training reports.
    NONE = "none"
    FAILED = "failed"


CHAMPION_CHANGES = (Action.PROMOTED, Action.FELL_BACK, Action.ROLLED_BACK)
"""Actions after which another champion prices the collection."""


class ErrorState(StrEnum):
    """How the newest error of a collection stands against its own past (`monitoring.online_metrics`)."""

    OK = "ok"
    DEGRADED = "degraded"
    TOO_FEW = "too_few"


class DriftState(StrEnum):
    """How a distribution stands against its reference (`monitoring.drift_scores`, `monitoring.drift_status`)."""

    OK = "ok"
    SUSPECT = "suspect"
    DRIFTED = "drifted"
    TOO_FEW = "too_few"


class QueueState(StrEnum):
    """Where a collection stands in `ops.retrain_queue`.

    Queued: waits for a run. Launched: in a run. Cooling: trained, and its new sales are awaited. Done: needs nothing.
    """

    QUEUED = "queued"
    LAUNCHED = "launched"
    COOLING = "cooling"
    DONE = "done"


class QueueKind(StrEnum):
    """What a queued collection needs: a fit, or other settings first."""

    RETRAIN = "retrain"
    RETUNE = "retune"


class EffectVerdict(StrEnum):
    """What a change of the champion did to the errors of a collection (`ops.decision_effects`)."""

    HELPED = "helped"
    HURT = "hurt"
    NO_DIFFERENCE = "no_difference"


class Origin(StrEnum):
    """Whose estimate a sale is compared with in `monitoring.estimate_ledger`."""

    LIVE = "live"
    WALK_FORWARD = "walk_forward"


class TrialState(StrEnum):
    """How a trial of a study ended (`ops.tuning_trials`)."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    STOPPED = "stopped"
