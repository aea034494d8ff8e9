"""The priors a scoring needs: every one that a champion rests on or that is live, with its calibration.

Here: loading them from the artefact store and ops.*. Not here: fitting (`pooled`), or applying (`token_predictions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ml.models.calibration import Calibration
from ml.models.frames import FeatureSet
from ml.models.markets import LivePriors
from ml.models.pooled import INDEX_VERSION, prior_version
from ml.models.tables import table_exists
from ml.models.token_predictions import PooledModels
from ml.registry.artifacts import ArtifactStore
from ml.registry.mirror import read_champions


@dataclass(frozen=True)
class PriorsInUse:
    """Priors in use, the index alone first, and the live one of every collection."""

    models: list[PooledModels]
    versions: dict[str, int]
    live: dict[str, str | None]


def load_priors(
    con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, as_of: datetime, features: FeatureSet
) -> PriorsInUse:
    """The live priors, every prior that a champion still refers to, and the index alone."""
    folds: list[Any] = []
    if table_exists(con, "ops.prior_folds"):
        folds = con.execute(
            "select market, prior_sha, scale_sha, feature_fingerprint from ops.prior_folds order by market, fold"
        ).fetchall()
    wanted = {champion.prior_version for champion in read_champions(con).values()}
    index = PooledModels(None, None, _calibration(con, INDEX_VERSION, as_of), _rarity_effect(con))
    models, versions = [index], {INDEX_VERSION: 0}
    live = LivePriors.read(con)
    for market, sha, scale_sha, fingerprint in folds:
        version = prior_version(sha)
        newest = live.by_market[market]
        if version == newest:
            features.require(fingerprint, f"the live prior {version} of {market}")
        elif fingerprint != features.fingerprint or version not in wanted:
            continue
        scale = artifacts.get_model(scale_sha) if scale_sha else None
        calibration = _calibration(con, version, as_of) or _calibration(con, newest, as_of)
        versions[version] = len(models)
        prior = artifacts.get_model(sha)
        if scale is not None and calibration is not None:
            models.append(PooledModels(prior, scale, calibration))
        else:  # a market too young to be calibrated: the wider intervals of the index are the honest ones
            models.append(PooledModels(prior, None, index.calibration))
    return PriorsInUse(models, versions, live.of_collections(con))


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


def _rarity_effect(con: duckdb.DuckDBPyConnection) -> tuple[float, ...]:
    if not table_exists(con, "ops.rarity_effect"):
        return ()
    return tuple(
        row[0]
        for row in con.execute("select effect_log from ops.rarity_effect order by rarity_bin").fetchall()
    )
