"""The models that price: pooled priors, the index fallback, and boosters of single collections.

Here: holding them, and reading those that the lake names. Not here: fitting (`ml.models`), or applying
(`ml.pricing.price`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor

from ml.intervals.calibration import TIERS, Calibration
from ml.models.frames import FeatureSet
from ml.models.index_fallback import NOTHING_LEARNT, IndexFallback, index_version, read_rarity
from ml.models.markets import LivePriors
from ml.registry.artifacts import ArtifactLostError, ArtifactStore
from ml.registry.mirror import read_champions
from ml.training.walk_forward import prior_version

Float = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class PriorModel:
    """One pooled prior.

    Attributes:
        prior_sha: Digest of the prior.
        scale_sha: Digest of its scale model, or None.
    """

    prior_sha: str
    scale_sha: str | None


@dataclass
class PricingModels:
    """Models by name; files are read when they are first needed, boosters again when many others came between.

    Attributes:
        artifacts: Where model files are.
        priors: Priors by version.
        index: What is known where the index prices by itself, by market.
        most_boosters: Boosters of single collections kept in memory.
    """

    artifacts: ArtifactStore
    priors: Mapping[str, PriorModel]
    index: Mapping[str, IndexFallback]
    most_boosters: int = 256
    _pooled: dict[str, CatBoostRegressor] = field(default_factory=dict, repr=False)
    _boosters: dict[str, CatBoostRegressor] = field(default_factory=dict, repr=False)

    def prior(self, version: str) -> CatBoostRegressor:
        """A prior by its version.

        Raises:
            ArtifactLostError: When its file is missing or damaged.
        """
        return self._load(self.priors[version].prior_sha)

    def scale(self, version: str) -> CatBoostRegressor | None:
        """The scale model that belongs to a prior, or None.

        Raises:
            ArtifactLostError: When its file is missing or damaged.
        """
        sha = self.priors[version].scale_sha
        return self._load(sha) if sha else None

    def booster(self, sha: str) -> CatBoostRegressor:
        """The booster of a single collection.

        Raises:
            ArtifactLostError: When its file is missing or damaged.
        """
        if sha not in self._boosters:
            if len(self._boosters) >= self.most_boosters:
                self._boosters.pop(next(iter(self._boosters)))
            self._boosters[sha] = self.artifacts.get_model(sha)
        return self._boosters[sha]

    def lost_file(self, version: str) -> str | None:
        """Why a prior cannot be used: a file of it is lost; None when it can. Reads its files."""
        try:
            self.prior(version)
            self.scale(version)
        except ArtifactLostError as error:
            return f"a file of its prior {version} is lost: {error}"
        return None

    def index_of(self, market: str) -> IndexFallback:
        """What is known of a market where the index prices by itself."""
        return self.index.get(market, NOTHING_LEARNT)

    def _load(self, sha: str) -> CatBoostRegressor:
        if sha not in self._pooled:
            self._pooled[sha] = self.artifacts.get_model(sha)
        return self._pooled[sha]


@dataclass(frozen=True)
class RowIntervals:
    """State of the intervals as of the time of each of n rows, for every premium tier.

    Attributes:
        quantile_80: Multiples of the scale that hold 80 % of the errors, shape (n, tiers); NaN where the market of the
            row is not calibrated yet.
        quantile_90: The same for 90 %.
        mean_log: ln(mean price / median price), shape (n, tiers).
    """

    quantile_80: Float
    quantile_90: Float
    mean_log: Float

    @classmethod
    def of_markets(cls, calibrations: Mapping[str, Calibration | None], market: Objects) -> RowIntervals:
        """One state per market, for rows of those markets."""
        shape = (len(market), TIERS)
        result = cls(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape))
        for name, calibration in calibrations.items():
            if calibration is not None:
                mine = np.asarray(market == name)
                result.quantile_80[mine] = calibration.quantile_80
                result.quantile_90[mine] = calibration.quantile_90
                result.mean_log[mine] = calibration.mean_log
        return result


@dataclass(frozen=True)
class LakeModels:
    """The models that the lake names.

    Attributes:
        models: All of them.
        live: Collection to the version of its market's newest prior, None without one that can be used.
        market: Collection to its market: the index fallback and the intervals are kept by it.
        calibrations: State of the intervals by market, None before there are any.
        lost: Versions of priors that cannot be used because a file of theirs is lost, with the reason.
    """

    models: PricingModels
    live: Mapping[str, str | None]
    market: Mapping[str, str]
    calibrations: Mapping[str, Calibration | None]
    lost: Mapping[str, str]


def read_models(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    as_of: datetime | None,
    features: FeatureSet,
    *,
    all_priors: bool = False,
) -> LakeModels:
    """The live priors, those that a champion still refers to, and what the index knows by itself.

    A prior whose file is lost, or that of its scale model, prices nothing until it is fitted again.

    Args:
        con: A read connection.
        artifacts: Where model files are.
        as_of: Calibrations made from later knowledge are not used (UTC); the newest one when None.
        features: Features in use.
        all_priors: Also priors that no champion refers to, and without checking their files.

    Raises:
        FeatureMismatchError: When a live prior was fitted on other features.
    """
    folds = con.execute(
        "select market, prior_sha, scale_sha, feature_fingerprint from ops.prior_folds order by market, fold"
    ).fetchall()
    wanted = {champion.prior_version for champion in read_champions(con).values()}
    live = LivePriors.read(con)
    rarity = read_rarity(con) or {"": ()}
    index = {
        market: IndexFallback(
            _calibration(con, index_version(market), as_of), tuple((effect, 0) for effect in effects)
        )
        for market, effects in rarity.items()
    }
    priors: dict[str, PriorModel] = {}
    models, lost = PricingModels(artifacts, priors, index), {}
    for market, sha, scale_sha, fingerprint in folds:
        version = prior_version(sha)
        if version == live.by_market[market]:
            features.require(fingerprint, f"the live prior {version} of {market}")
        elif fingerprint != features.fingerprint or not (all_priors or version in wanted):
            continue
        priors[version] = PriorModel(sha, scale_sha)
        if not all_priors and (reason := models.lost_file(version)):
            lost[version] = reason
            del priors[version]
    chains = dict(con.execute('select collection, "chain" from marts.dim_collections').fetchall())
    return LakeModels(
        models,
        {key: version if version in priors else None for key, version in live.of_collections(con).items()},
        {collection: live.market_of(chain, index) or "" for collection, chain in chains.items()},
        {market: _calibration(con, live.of_chain(market), as_of) for market in index},
        lost,
    )


def _calibration(
    con: duckdb.DuckDBPyConnection, version: str | None, as_of: datetime | None
) -> Calibration | None:
    """The newest calibration of a prior made from what was known before that time."""
    if version is None:
        return None
    rows = con.execute(
        """
        select quantile_80, quantile_90, mean_log, sales from ops.interval_calibration
        where prior_version = $1 and ($2 is null or calibrated_at <= $2::timestamp)
        qualify calibrated_at = max(calibrated_at) over ()
        order by premium_tier
        """,
        [version, as_of],
    ).fetchall()
    if not rows:
        return None
    columns = list(zip(*rows, strict=True))
    return Calibration(columns[0], columns[1], columns[2], columns[3])
