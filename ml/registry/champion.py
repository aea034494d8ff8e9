"""The champion of a collection: the whole tuple that prices its tokens.

Here: the tuple, its identity, and its forms as a table row and as registry tags. Not here: where it is
registered (`ml.registry.champions`), how it is judged (`ml.training.gate`).

Concept: what is promoted or rolled back is never a booster alone but index parameters, pooled prior, local
booster and its weight (possibly 0) and the width of its intervals together. Two champions with the same
identity give the same estimates, so a retraining that arrives at the same identity registers nothing new.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

_IDENTITY = (
    "collection",
    "tier",
    "prior_version",
    "local_sha",
    "weight",
    "index_fingerprint",
    "feature_fingerprint",
)


@dataclass(frozen=True)
class Champion:
    """One version of a collection's model.

    Attributes:
        collection: Whose tokens it prices.
        tier: Which parts set the price: own_model, pooled or index_rarity.
        prior_version: The pooled prior beneath it, or None for the index alone.
        local_sha: Digest of the local booster, or None.
        weight: Share of the local booster's residual that is added, 0 when there is none.
        index_fingerprint: Parameters of the hedonic index.
        feature_fingerprint: Feature schema that it was fitted on.
        trained_until: `known_at` of the newest sale it was trained on (UTC).
        snapshot_id: Lake snapshot that it was trained on.
        numbers: What the gate measured, for people; not part of the identity.
        version: Version in the registry; 0 before it is registered.
        previous_version: The version it replaced, or None.
    """

    collection: str
    tier: str
    prior_version: str | None
    local_sha: str | None
    weight: float
    index_fingerprint: str
    feature_fingerprint: str
    trained_until: datetime
    snapshot_id: int
    numbers: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    previous_version: int | None = None

    @property
    def model_version(self) -> str:
        """The version as predictions carry it, unique over all collections."""
        return f"{self.collection}@{self.version}"

    def identity(self) -> str:
        """Digest of everything that decides an estimate."""
        parts = {name: getattr(self, name) for name in _IDENTITY}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def registered(self, version: int, previous_version: int | None) -> Champion:
        """The same champion as the registry numbered it."""
        return replace(self, version=version, previous_version=previous_version)

    def as_row(self) -> dict[str, Any]:
        """A row of ops.champions."""
        row = asdict(self)
        row["numbers"] = json.dumps(self.numbers, sort_keys=True)
        return row

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Champion:
        """The champion of a row of ops.champions."""
        return cls(**{**row, "numbers": json.loads(row["numbers"] or "{}")})

    def as_tags(self) -> dict[str, str]:
        """Registry tags from which the champion can be rebuilt."""
        row = self.as_row()
        row["trained_until"] = self.trained_until.isoformat()
        for name in ("version", "previous_version", "numbers"):
            del row[name]
        return {
            "assay.champion": json.dumps(row, sort_keys=True),
            "assay.identity": self.identity(),
            "assay.tier": self.tier,
            "assay.snapshot_id": str(self.snapshot_id),
            "assay.feature_fingerprint": self.feature_fingerprint,
            "assay.metrics": json.dumps(self.numbers, sort_keys=True),
        }

    @classmethod
    def from_tags(cls, tags: dict[str, str], version: int, previous_version: int | None) -> Champion:
        """The champion that `as_tags` described."""
        row = json.loads(tags["assay.champion"])
        row.pop("width_factor", None)  # registered before intervals followed the market (ADR 13)
        row["trained_until"] = datetime.fromisoformat(row["trained_until"])
        numbers = json.loads(tags.get("assay.metrics", "{}"))
        return cls(**row, numbers=numbers, version=version, previous_version=previous_version)
