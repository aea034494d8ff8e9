"""Which tier prices a token, and why a token has no value.

Here: the one rule that turns what is known of a collection into a tier. Not here: reading what is known
(`ml.pricing.scoring`, `ml.backtest.pricing`), or the estimate itself (`ml.pricing.price`).

Concept: own model → pooled prior → index with rarity → no value. Each step down is for collections whose data support
no more (docs/architecture.md, cold start).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml.index.params import DEFAULT_PARAMS
from ml.registry.champion import Champion
from ml.states import NoValue, Tier
from ml.training.gate import GateConfig

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class TierRules:
    """Thresholds of the tiers.

    Attributes:
        min_sales: Known arm's-length sales below which a collection has no value (docs/domain.md, section 6).
        silent_days: Days since the last sale after which a collection has no value (docs/domain.md, section 6).
        gate: Its `pooled_min_sales` sales with an index are needed before the pooled prior prices a collection.
    """

    min_sales: int = 3
    silent_days: int = 90
    gate: GateConfig = field(default_factory=GateConfig)

    def no_value_reason(self, sales: int, days_since_sale: float) -> str | None:
        """Why a collection has no value, or None.

        Args:
            sales: Arm's-length sales known.
            days_since_sale: Days since the newest of them; NaN without one.
        """
        if sales < self.min_sales:
            return NoValue.FEW_SALES
        return NoValue.INACTIVE if days_since_sale > self.silent_days else None

    def choose(self, sales: int, champion: Champion | None, live_prior: str | None) -> tuple[str, str | None]:
        """The tier of a collection and the version of the prior that prices it (None for the index).

        A collection without a champion (new since the last training) is priced by the live prior, or by the index
        when there is no prior yet or fewer sales had an index than the gate wants for the prior.

        Args:
            sales: Arm's-length sales known.
            champion: The collection's champion if its models can be used.
            live_prior: Version of its market's newest prior, or None.
        """
        if champion is not None:
            return champion.tier, None if champion.tier == Tier.INDEX else champion.prior_version
        if live_prior is None or sales < DEFAULT_PARAMS.min_sales + self.gate.pooled_min_sales:
            return Tier.INDEX, None
        return Tier.POOLED, live_prior


def usable_champions(
    champions: Mapping[str, Champion],
    priors: Collection[str],
    feature_fingerprint: str,
    lost: Mapping[str, str] | None = None,
) -> tuple[dict[str, Champion], dict[str, str]]:
    """Champions that can price with these features and priors, and why the others cannot.

    Args:
        champions: Champions by collection.
        priors: Versions of the priors at hand.
        feature_fingerprint: Feature schema in use.
        lost: Versions of priors whose files are lost, with the reason.
    """
    refused = {}
    for key, champion in champions.items():
        if champion.feature_fingerprint != feature_fingerprint:
            refused[key] = f"fitted on features {champion.feature_fingerprint}"
        elif champion.tier != Tier.INDEX and champion.prior_version not in priors:
            version = str(champion.prior_version)
            refused[key] = (lost or {}).get(version, f"its prior {version} is not kept any more")
    return {key: champion for key, champion in champions.items() if key not in refused}, refused


@dataclass(frozen=True)
class TierChoices:
    """What prices each of n rows.

    Attributes:
        tier: Tier of each row.
        prior_version: Prior of each row, or None. A row that the index prices may name one: then its price is computed
            next to the estimate.
        reason: Why the row has no value, or None.
        champions: Champion of every collection with a row of tier own_model.
    """

    tier: Objects
    prior_version: Objects
    reason: Objects
    champions: Mapping[str, Champion]

    @classmethod
    def of_champion(cls, champion: Champion, rows: int) -> TierChoices:
        """The same champion for all rows."""
        index = champion.tier == Tier.INDEX
        return cls(
            np.full(rows, champion.tier, dtype=object),
            np.full(rows, None if index else champion.prior_version, dtype=object),
            np.full(rows, None, dtype=object),
            {champion.collection: champion} if champion.tier == Tier.OWN else {},
        )
