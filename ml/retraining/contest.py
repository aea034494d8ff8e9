"""Two models of a collection on the same sales, which neither has seen.

Here: pricing sales with any registered champion from its files, and the paired comparison. Not here: who is compared
(`ml.retraining.restore`), or what a champion is (`ml.registry.champion`).

Concept: sales scatter so widely that two models measured on different sales cannot be distinguished. On the same sales
the scatter cancels: only the difference of their errors is left. Both get the features that each sale had at its own
time, so it is the models that are compared and not how fresh their features were. An hour counts once. A price that
would not be published, because no token can be worth it, is no evidence for or against a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.matrix import column, matrix
from ml.ledger.estimate_ledger import TABLE as LEDGER
from ml.models.collection_reader import collection_slices
from ml.models.frames import FeatureSet
from ml.models.traits import TraitLists, read_trait_types
from ml.pricing.models import RowIntervals, read_models
from ml.pricing.price import PricingInputs, price
from ml.pricing.tiers import TierChoices, usable_champions
from ml.registry.artifacts import ArtifactLostError, ArtifactStore
from ml.registry.champion import Champion
from ml.retraining.policy import RetrainingPolicy
from ml.states import NoValue

Float = npt.NDArray[np.float64]


class CannotPriceError(ValueError):
    """A champion cannot price these sales; the message gives the reason."""


@dataclass(frozen=True)
class UnseenSales:
    """Newest clean sales of a collection, in known order; arrays of length n.

    Attributes:
        collection: Whose.
        target_log: ln price.
        base_log: The index at each sale's own as-of time.
        floor_log: ln of the trailing 20th percentile at that time; NaN without.
        med_5_log: ln median of the five sales before; NaN without.
        hour: Hours since the epoch.
        rarity: Rarity percentile, NaN without one.
        table: Features and trait values, for the models.
    """

    collection: str
    target_log: Float
    base_log: Float
    floor_log: Float
    med_5_log: Float
    hour: npt.NDArray[np.int64]
    rarity: Float
    table: pa.Table

    def __len__(self) -> int:
        return len(self.target_log)


@dataclass(frozen=True)
class Contest:
    """A paired comparison; errors are mean |log error|.

    Attributes:
        n: Sales that both have a price for.
        hours: Distinct hours among them.
        champion: Error of the current model.
        rival: Error of the other.
        z: Standard errors by which the rival was better.
    """

    n: int
    hours: int
    champion: float
    rival: float
    z: float

    @property
    def gain(self) -> float:
        """Relative fall of the error with the rival."""
        return 1.0 - self.rival / self.champion if self.champion > 0 else 0.0

    def is_won(self, policy: RetrainingPolicy) -> bool:
        """Whether the rival was better beyond noise and by enough."""
        return (
            self.n >= policy.contest_sales and self.z >= policy.contest_z and self.gain >= policy.contest_gain
        )

    def numbers(self) -> dict[str, float]:
        """For the decision log."""
        return {
            "n": self.n,
            "hours": self.hours,
            "champion_error": self.champion,
            "rival_error": self.rival,
            "z": self.z,
        }


def compare(champion: Float, rival: Float, hour: npt.NDArray[np.int64]) -> Contest:
    """|log error| of two models on the same sales, shape (n,); sales of one hour are one piece of evidence.

    The standard error is that of a mean over clusters: hours are summed first, so equal sales in one hour do not count
    as evidence, and independent ones lose nothing. Sales for which one of them has no error (NaN) are left out.
    """
    judged = np.isfinite(champion) & np.isfinite(rival)
    champion, rival, hour = champion[judged], rival[judged], hour[judged]
    difference = champion - rival
    n, (_, code) = len(difference), np.unique(hour, return_inverse=True)
    if n == 0:
        return Contest(0, 0, float("nan"), float("nan"), 0.0)
    hours, mean = int(code.max()) + 1, float(difference.mean())
    sums = np.bincount(code, weights=difference - mean)
    error = float(np.sqrt((sums**2).sum() * hours / max(hours - 1, 1))) / n
    return Contest(n, hours, float(champion.mean()), float(rival.mean()), mean / error if error > 0 else 0.0)


def read_unseen(
    con: duckdb.DuckDBPyConnection,
    since: Mapping[str, datetime],
    as_of: datetime,
    features: FeatureSet,
    most: int,
) -> dict[str, UnseenSales]:
    """Clean sales with features that became known after `since` of each collection and before `as_of`.

    Without those of tokens whose stored value is an implausible one: scoring gives them none.

    Args:
        con: A read connection with features.sale_features, the ledger and marts.dim_tokens.
        since: Collection to the newest `known_at` that one of its models was trained on.
        as_of: Time of the data: nothing known at or after it is used.
        features: Columns to read.
        most: Newest sales of each collection.
    """
    names = dict.fromkeys([*features.names, *features.local_names])
    quoted = "".join(f', s."{name}"' for name in names)
    asked = pa.table(
        {
            "collection": pa.array(list(since), pa.string()),
            "since": pa.array(list(since.values()), pa.timestamp("us")),
        }
    )
    con.register("_asked", asked)
    try:
        table = con.execute(
            f"""
            with implausible as (
                select collection, token_id from predictions.token_estimates
                where no_value_reason = '{NoValue.IMPLAUSIBLE}'
            )

            select
                s.collection, s.target_log, s.base_log, ln(l.p20_50_eth) as _floor, ln(l.med_5_eth) as _med_5,
                epoch_us(l.event_time) // 3600000000 as _hour, t.rarity_pct as _rarity,
                coalesce(t.trait_values, []) as _traits {quoted}
            from features.sale_features as s
            inner join _asked on s.collection = _asked.collection
            inner join {LEDGER} as l on s.sale_id = l.sale_id and l.is_arms_length
            left join marts.dim_tokens as t on s.collection = t.collection and s.token_id = t.token_id
            left join implausible as n on s.collection = n.collection and s.token_id = n.token_id
            where s.known_at > _asked.since and s.known_at < $as_of and s.base_log is not null and n.token_id is null
            qualify row_number() over (partition by s.collection order by s.known_at desc, s.seq desc) <= $most
            order by s.collection, s.seq
            """,
            {"as_of": as_of, "most": most},
        ).to_arrow_table()
    finally:
        con.unregister("_asked")
    return {
        key: _sales_of(key, table.slice(start, stop - start))
        for key, start, stop in collection_slices(table["collection"], list(since))
    }


def _sales_of(key: str, own: pa.Table) -> UnseenSales:
    own = own.combine_chunks()
    return UnseenSales(
        key,
        column(own, "target_log"),
        column(own, "base_log"),
        column(own, "_floor"),
        column(own, "_med_5"),
        own["_hour"].to_numpy(),
        column(own, "_rarity"),
        own,
    )


class Pricer:
    """Prices sales with any registered champion, from its files.

    Args:
        con: A read connection with ops.prior_folds, marts.dim_collections and marts.dim_trait_values.
        artifacts: Where the files are.
        features: Features the lake holds.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, features: FeatureSet
    ) -> None:
        self._features = features
        self._lake = read_models(con, artifacts, None, features, all_priors=True)
        self._types = read_trait_types(con)

    def log_error(self, champion: Champion, sales: UnseenSales) -> Float:
        """|ln price − ln estimate| of a champion, shape (n,); NaN for a sale that it gives no value.

        Raises:
            CannotPriceError: Its prior or booster is gone, or was fitted on other features.
        """
        return np.abs(sales.target_log - self.estimate_log(champion, sales))

    def estimate_log(self, champion: Champion, sales: UnseenSales) -> Float:
        """Ln estimate of a champion for each sale, shape (n,); NaN where it would not be published.

        Raises:
            CannotPriceError: Its prior or booster is gone, or was fitted on other features.
        """
        name, models = champion.model_version, self._lake.models
        _, refused = usable_champions({sales.collection: champion}, models.priors, self._features.fingerprint)
        if refused:
            raise CannotPriceError(f"{name}: {refused[sales.collection]}")
        n = len(sales)
        market = np.full(n, self._lake.market.get(sales.collection, ""), dtype=object)
        inputs = PricingInputs(
            collection=np.full(n, sales.collection, dtype=object),
            market=market,
            base_log=sales.base_log,
            floor_log=sales.floor_log,
            rarity=sales.rarity,
            features=matrix(sales.table, self._features.names),
            traits=TraitLists.of(sales.table["_traits"], self._types),
        )
        choices = TierChoices.of_champion(champion, n)
        intervals = RowIntervals.of_markets(self._lake.calibrations, market)
        try:
            prices = price(inputs, choices, models, intervals, self._features, 1)
        except ArtifactLostError as error:
            raise CannotPriceError(f"a file of {name} is lost: {error}") from error
        if prices.refused:
            raise CannotPriceError(f"a file of {name} cannot be used: {prices.refused[sales.collection]}")
        return prices.estimate_log
