"""Which models priced a collection: those behind its stored estimates, or the index where there are none.

Here: reading predictions.token_estimates, ops.champions and ops.prior_folds. Not here: choosing tiers
(`ml.pricing.tiers` did), or explaining.

Concept: an explanation is about the estimate that was given. So it takes the model versions from the estimates. Where
the lake has moved on since (another champion, later features), a note names both sides, and the explanation is of the
one that can be computed now, never a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from ml.explain.errors import PriorForgottenError
from ml.models.frames import FeatureSet
from ml.pricing.models import LakeModels, read_models
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.mirror import read_champions
from ml.states import Tier


@dataclass(frozen=True)
class ModelsUsed:
    """The models that price a collection's tokens.

    Attributes:
        tier: own_model, pooled, index_rarity or none.
        model_version: As in the estimates, or None before any scoring.
        prior_version: The pooled model's, or None.
        prior_cutoff: The newest sale the pooled model has learnt from was known before this (UTC).
        weight: Share of the own model's residual that is added; 0 without one.
        champion: The champion, or None.
        lake: The models themselves.
        notes: What an owner should know about the state of affairs, as sentences.
    """

    tier: str
    model_version: str | None
    prior_version: str | None
    prior_cutoff: datetime | None
    weight: float
    champion: Champion | None
    lake: LakeModels
    notes: tuple[str, ...]


def read_models_used(
    con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore, collection: str, features: FeatureSet
) -> ModelsUsed:
    """The models that price a collection.

    Raises:
        FeatureMismatchError: When the estimates were made on other features than the code declares.
        PriorForgottenError: When the estimates' prior is not in ops.prior_folds.
    """
    champion = read_champions(con, [collection]).get(collection)
    tier, version, prior_version, fingerprint = _scored(con, collection)
    notes: list[str] = []
    if version is None and tier != Tier.NONE:
        notes.append("The collection was not valued yet: this is its index's estimate. Run `assay run`.")
    if fingerprint is not None:
        features.require(fingerprint, f"the estimates of {collection}")
    if champion is not None and version is not None and champion.model_version != version:
        notes.append(
            f"The estimates are by {version}, the champion is now {champion.model_version}; explained is the "
            "champion. `assay run` values the tokens again."
        )
    own = champion if tier == Tier.OWN and champion is not None and champion.local_sha else None
    return ModelsUsed(
        tier=tier,
        model_version=version,
        prior_version=prior_version,
        prior_cutoff=_prior_cutoff(con, prior_version),
        weight=own.weight if own else 0.0,
        champion=champion,
        lake=read_models(con, artifacts, None, features, all_priors=True),
        notes=tuple(notes),
    )


def _scored(
    con: duckdb.DuckDBPyConnection, collection: str
) -> tuple[str, str | None, str | None, str | None]:
    """Tier, model and prior version and feature fingerprint of a collection's estimates."""
    rows = con.execute(
        f"""
        select tier, model_version, prior_version, feature_fingerprint
        from predictions.token_estimates where collection = $1
        group by all order by count(*) filter (where tier = '{Tier.NONE}') > 0, count(*) desc
        """,
        [collection],
    ).fetchall()
    if not rows:
        return Tier.INDEX, None, None, None
    tier, version, prior_version, fingerprint = rows[0]
    return str(tier), version, prior_version, None if tier == Tier.NONE else fingerprint


def _prior_cutoff(con: duckdb.DuckDBPyConnection, prior_version: str | None) -> datetime | None:
    if prior_version is None:
        return None
    row = con.execute(
        "select cutoff from ops.prior_folds where prior_version = $1 order by cutoff desc limit 1",
        [prior_version],
    ).fetchone()
    if row is None:
        raise PriorForgottenError(
            f"expected the prior {prior_version} of the estimates in ops.prior_folds, found none; "
            "`assay run` values the tokens with the live one"
        )
    found: datetime = row[0]
    return found
