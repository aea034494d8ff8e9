"""The priors a scoring needs: every one that a champion rests on or that is live, with its calibration.

Here: loading them from the artefact store and ops.*. Not here: fitting (`pooled`), or applying (`token_predictions`).

Concept: a prior whose file is lost, or that of its scale model, does not speak, and the tier below answers until it is
fitted again. With the scale model alone missing its estimates would stand, but not their intervals.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ml.models.calibration import Calibration
from ml.models.frames import FeatureSet
from ml.models.index_alone import index_version, read_rarity
from ml.models.markets import LivePriors
from ml.models.pooled import prior_version
from ml.models.tables import table_exists
from ml.models.token_predictions import PooledModels
from ml.registry.artifacts import ArtifactLostError, ArtifactStore
from ml.registry.mirror import read_champions


@dataclass(frozen=True)
class PriorsInUse:
    """Priors in use.

    Attributes:
        models: The index alone of every market first, then the priors.
        versions: Version to its place in `models`.
        live: Collection to its live prior's version, None without one that can speak.
        index: Collection to the version that stands for its index alone.
        lost: Version of a prior that cannot speak because a file is lost to the reason.
    """

    models: list[PooledModels]
    versions: dict[str, int]
    live: dict[str, str | None]
    index: dict[str, str]
    lost: dict[str, str]


def load_priors(
    con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, as_of: datetime, features: FeatureSet
) -> PriorsInUse:
    """The live priors and those that a champion still refers to, without what is lost, and the index alone."""
    folds: list[Any] = []
    if table_exists(con, "ops.prior_folds"):
        folds = con.execute(
            "select market, prior_sha, scale_sha, feature_fingerprint from ops.prior_folds order by market, fold"
        ).fetchall()
    wanted = {champion.prior_version for champion in read_champions(con).values()}
    live = LivePriors.read(con)
    rarity = read_rarity(con) or {"": ()}
    alone = {
        market: PooledModels(None, None, _calibration(con, index_version(market), as_of), effects)
        for market, effects in rarity.items()
    }
    models = list(alone.values())
    versions = {index_version(market): place for place, market in enumerate(alone)}
    lost = {}
    for market, sha, scale_sha, fingerprint in folds:
        version = prior_version(sha)
        newest = live.by_market[market]
        if version == newest:
            features.require(fingerprint, f"the live prior {version} of {market}")
        elif fingerprint != features.fingerprint or version not in wanted:
            continue
        try:
            prior = artifacts.get_model(sha)
            scale = artifacts.get_model(scale_sha) if scale_sha else None
        except ArtifactLostError as error:
            lost[version] = f"a file of its prior {version} is lost: {error}"
            continue
        calibration = _calibration(con, version, as_of) or _calibration(con, newest, as_of)
        versions[version] = len(models)
        if scale is not None and calibration is not None:
            models.append(PooledModels(prior, scale, calibration))
        else:  # a market too young to be calibrated: the wider intervals of the index are the honest ones
            models.append(PooledModels(prior, None, alone[live.market_of(market, alone) or ""].calibration))
    speaking = {
        collection: version if version in versions else None
        for collection, version in live.of_collections(con).items()
    }
    return PriorsInUse(models, versions, speaking, _index_versions(con, live, alone), lost)


def _index_versions(
    con: duckdb.DuckDBPyConnection, live: LivePriors, markets: Collection[str]
) -> dict[str, str]:
    rows = con.execute('select collection, "chain" from marts.dim_collections').fetchall()
    return {collection: index_version(live.market_of(chain, markets) or "") for collection, chain in rows}


def _calibration(con: duckdb.DuckDBPyConnection, version: str, as_of: datetime) -> Calibration | None:
    """The newest calibration of a prior made from what was known before the instant."""
    if not table_exists(con, "ops.interval_calibration"):
        return None
    rows = con.execute(
        """
        select quantile_80, quantile_90, mean_log, sales from ops.interval_calibration
        where prior_version = $1 and calibrated_at <= $2
        qualify calibrated_at = max(calibrated_at) over ()
        order by premium_tier
        """,
        [version, as_of],
    ).fetchall()
    if not rows:
        return None
    columns = list(zip(*rows, strict=True))
    return Calibration(columns[0], columns[1], columns[2], columns[3])
