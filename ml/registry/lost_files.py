"""Which model files are lost: that the lake's state refers to, and the artefact store does not have whole.

Here: one comparison of ops.prior_folds and ops.champions with the files. Not here: fitting them again
(`ml.training.walk_forward`, `ml.training`), or what prices meanwhile (`ml.pricing`).

Concept: everything in the artefact store was fitted from the lake, so a lost file is work to do and not an error. Its
owner is due (`ml.training.due`): a market for the models of a fold, a collection for its booster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.mirror import read_champions

PRIOR, SCALE, BOOSTER = "prior", "scale model", "booster"
RULE_LOST = "model_file_lost"
"""The rule of decisions that were made because a file was lost."""


@dataclass(frozen=True)
class LostFile:
    """A model file that is missing or damaged.

    Attributes:
        role: prior, scale model or booster.
        owner: The market of a fold's models, the collection of a booster.
        model: Which of the owner's models: `fold 3`, or the champion's version.
        in_force: Whether estimates of now need it; older folds are needed to predict the past again.
        problem: What was expected and found, with the path.
    """

    role: str
    owner: str
    model: str
    in_force: bool
    problem: str

    def __str__(self) -> str:
        """In one sentence, for reasons and alerts."""
        return f"the {self.role} of {self.owner}, {self.model}, is lost: {self.problem}"


def lost_files(con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore) -> list[LostFile]:
    """Every lost file that a fold or a champion refers to; reads each file once.

    Args:
        con: A read connection.
        artifacts: Where the files are.
    """
    return [*_lost_of_folds(con, artifacts), *lost_boosters(read_champions(con).values(), artifacts)]


def lost_boosters(champions: Iterable[Champion], artifacts: ArtifactStore) -> list[LostFile]:
    """The champions among these whose booster is lost."""
    found = []
    for champion in champions:
        problem = artifacts.problem(champion.local_sha) if champion.local_sha else None
        if problem:
            found.append(LostFile(BOOSTER, champion.collection, champion.model_version, True, problem))
    return found


def _lost_of_folds(con: duckdb.DuckDBPyConnection, artifacts: ArtifactStore) -> list[LostFile]:
    rows = con.execute(
        """
        select market, fold, fold = max(fold) over (partition by market) as live, prior_sha, scale_sha
        from ops.prior_folds order by market, fold
        """
    ).fetchall()
    found = []
    for market, fold, live, *files in rows:
        for role, sha in zip((PRIOR, SCALE), files, strict=True):
            problem = artifacts.problem(sha) if sha else None
            if problem:
                found.append(LostFile(role, market, f"fold {fold}", live, problem))
    return found
