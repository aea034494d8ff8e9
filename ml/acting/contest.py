"""Two models of a collection on the same sales, which neither has seen.

Here: pricing sales with any registered champion from its files, and the paired comparison. Not here: who is compared
(`restore`), or what a champion is (`ml.models.champion`).

Concept: sales scatter so widely that two models measured on different sales cannot be told apart. On the same sales the
scatter cancels: only the difference of their errors is left. Both get the features that each sale had at its own
instant, so it is the models that are compared and not how fresh their features were. An hour counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from catboost import CatBoostRegressor

from ml.acting.policy import ActingPolicy
from ml.evaluation.estimate_ledger import TABLE as LEDGER
from ml.models.champion import TIER_INDEX, TIER_OWN, Champion
from ml.models.collection_reader import collection_slices, trait_codes
from ml.models.frames import FeatureSet
from ml.models.index_alone import read_rarity
from ml.models.local import LocalInputs, RaggedTraitsError, predict_local, trait_matrix
from ml.models.markets import LivePriors
from ml.models.matrix import column, matrix
from ml.models.pooled import prior_version
from ml.models.prior import predict_gap
from ml.models.tables import table_exists
from ml.models.token_predictions import rarity_effect
from ml.registry.artifacts import ArtifactLostError, ArtifactStore

Float = npt.NDArray[np.float64]


class CannotSpeakError(ValueError):
    """A champion cannot price these sales; says why."""


@dataclass(frozen=True)
class UnseenSales:
    """Newest clean sales of a collection, in known order; arrays of length n.

    Attributes:
        collection: Whose.
        target_log: ln price.
        base_log: The index at each sale's own instant.
        med_5_log: ln median of the five sales before; NaN without.
        hour: Hours since the epoch.
        rarity: Rarity percentile, NaN without one.
        table: Features and trait values, for the models.
    """

    collection: str
    target_log: Float
    base_log: Float
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
        n: Sales.
        hours: Distinct hours among them.
        champion: Error of the reigning model.
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

    def is_won(self, policy: ActingPolicy) -> bool:
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
    as evidence, and independent ones lose nothing.
    """
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
    now: datetime,
    features: FeatureSet,
    most: int,
) -> dict[str, UnseenSales]:
    """Clean sales with features that became known after an instant of each collection and before `now`.

    Args:
        con: A read connection with features.sale_features, the ledger and marts.dim_tokens.
        since: Collection to the newest instant that one of its models has seen.
        now: Market time.
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
            select
                s.collection, s.target_log, s.base_log, ln(l.med_5_eth) as _med_5,
                epoch_us(l.event_time) // 3600000000 as _hour, t.rarity_pct as _rarity,
                coalesce(t.trait_values, []) as _traits {quoted}
            from features.sale_features as s
            inner join _asked on s.collection = _asked.collection
            inner join {LEDGER} as l on s.sale_id = l.sale_id and l.is_arms_length
            left join marts.dim_tokens as t on s.collection = t.collection and s.token_id = t.token_id
            where s.known_at > _asked.since and s.known_at < $now and s.base_log is not null
            qualify row_number() over (partition by s.collection order by s.known_at desc, s.seq desc) <= $most
            order by s.collection, s.seq
            """,
            {"now": now, "most": most},
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
        column(own, "_med_5"),
        own["_hour"].to_numpy(),
        column(own, "_rarity"),
        own,
    )


class Pricer:
    """Prices sales with any registered champion, from its files.

    Args:
        con: A read connection with ops.prior_folds and marts.dim_collections.
        artifacts: Where the files are.
        features: Features the lake holds.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, features: FeatureSet
    ) -> None:
        self._artifacts, self._features = artifacts, features
        folds: list[tuple[str, str]] = []
        if table_exists(con, "ops.prior_folds"):
            folds = con.execute("select prior_sha, feature_fingerprint from ops.prior_folds").fetchall()
        self._shas = {prior_version(sha): sha for sha, print_ in folds if print_ == features.fingerprint}
        self._rarity = read_rarity(con)
        self._live = LivePriors.read(con)
        chains = con.execute('select collection, "chain" from marts.dim_collections').fetchall()
        self._chains: dict[str, str] = dict(chains)
        self._priors: dict[str, CatBoostRegressor] = {}

    def log_error(self, champion: Champion, sales: UnseenSales) -> Float:
        """|ln price − ln estimate| of a champion, shape (n,).

        Raises:
            CannotSpeakError: Its prior or booster is gone, or was fitted on other features or traits.
        """
        if champion.feature_fingerprint != self._features.fingerprint:
            raise CannotSpeakError(f"{champion.model_version} was fitted on other features")
        if champion.tier == TIER_INDEX:
            market = self._live.market_of(self._chains.get(sales.collection), self._rarity)
            effects = self._rarity.get(market or "")
            effect = rarity_effect(sales.rarity, effects) if effects else 0.0
            return np.abs(sales.target_log - sales.base_log - effect)
        estimate = sales.base_log + predict_gap(
            self._prior(champion), matrix(sales.table, self._features.names), 1
        )
        if champion.tier == TIER_OWN and champion.local_sha and champion.weight:
            estimate = estimate + champion.weight * self._local(champion, sales)
        return np.abs(sales.target_log - estimate)

    def _prior(self, champion: Champion) -> CatBoostRegressor:
        version = str(champion.prior_version)
        if version not in self._priors:
            if version not in self._shas:
                raise CannotSpeakError(
                    f"the prior {version} of {champion.model_version} is not kept any more"
                )
            self._priors[version] = self._model(self._shas[version], champion)
        return self._priors[version]

    def _local(self, champion: Champion, sales: UnseenSales) -> Float:
        codes, offsets, vocabulary = trait_codes(sales.table["_traits"])
        try:
            traits = trait_matrix(codes, offsets, sales.collection)
        except RaggedTraitsError as error:
            raise CannotSpeakError(str(error)) from error
        numbers = matrix(sales.table, self._features.local_names)
        booster = self._model(str(champion.local_sha), champion)
        if booster.feature_names_ and len(booster.feature_names_) != numbers.shape[1] + traits.shape[1]:
            raise CannotSpeakError(f"the trait types changed since {champion.model_version} was trained")
        return predict_local(booster, LocalInputs(numbers, traits, vocabulary))

    def _model(self, sha: str, champion: Champion) -> CatBoostRegressor:
        try:
            return self._artifacts.get_model(sha)
        except ArtifactLostError as error:
            raise CannotSpeakError(f"a file of {champion.model_version} is lost: {error}") from error
