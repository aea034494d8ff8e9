"""What a backtest has finished, so that a killed one continues: a folder of parts, one per refit period.

Here: the folder, its manifest, and each period's state and estimates. Not here: computing them
(`ml.backtest.backtest`).

Concept: a period's state file is written last and in one step, so a period is either finished or never happened. The
folder's name is a digest of all that decides the result (window, settings, the data themselves): another question
finds another folder, and a part can never answer a question it was not computed for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.storage import write_whole
from ml.ledger.ledger import ESTIMATE_SCHEMA
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.training.walk_forward import Fold


@dataclass(frozen=True)
class BacktestChampion:
    """The champion of one collection in a backtest.

    Attributes:
        champion: The champion.
        version: Its name in estimates: the collection and the refit that made it.
        judged_on: Sales of the collection that were known when it was last judged.
    """

    champion: Champion
    version: str
    judged_on: int


@dataclass
class WalkState:
    """What a refit leaves to the next one.

    Attributes:
        folds: Folds of each market's prior so far, in time order.
        champions: Champion of each collection that was judged.
        log: One line per refit, for people.
    """

    folds: dict[str, list[Fold]] = field(default_factory=dict)
    champions: dict[str, BacktestChampion] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The state as text; `from_json` reads it back to equality."""
        folds = {market: [asdict(fold) for fold in folds] for market, folds in sorted(self.folds.items())}
        champions = {
            key: {
                "champion": {
                    **held.champion.as_row(),
                    "trained_until": held.champion.trained_until.isoformat(),
                },
                "version": held.version,
                "judged_on": held.judged_on,
            }
            for key, held in sorted(self.champions.items())
        }
        return json.dumps({"folds": folds, "champions": champions, "log": self.log})

    @classmethod
    def from_json(cls, text: str) -> WalkState:
        """The state that `to_json` wrote."""
        content = json.loads(text)
        champions = {}
        for key, held in content["champions"].items():
            row = held["champion"]
            row["trained_until"] = datetime.fromisoformat(row["trained_until"])
            champions[key] = BacktestChampion(Champion.from_row(row), held["version"], held["judged_on"])
        folds = {market: [Fold(**fold) for fold in folds] for market, folds in content["folds"].items()}
        return cls(folds, champions, content["log"])


class BacktestParts:
    """The folder of one backtest."""

    def __init__(self, root: Path, question: Mapping[str, Any]) -> None:
        """Open or make the folder under `root` for a question; equal questions share it."""
        content = json.dumps(question, sort_keys=True, default=str)
        self.folder = root / hashlib.sha256(content.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(
            self.folder / "manifest.json", json.dumps(question, sort_keys=True, default=str, indent=2)
        )

    @property
    def _artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def artifacts(self) -> ArtifactStore:
        """Models of this backtest: next to the parts; the models of the home are kept apart."""
        return ArtifactStore.in_folder(self._artifacts)

    def finished(self, period: int) -> bool:
        """Whether a period's estimates and state are complete."""
        return self._state(period).exists()

    def finish(self, period: int, estimates: pa.Table, state: WalkState) -> None:
        """Keep a period: estimates first, then the state that makes it count."""
        target = self._estimates(period)
        temporary = target.with_suffix(f".{os.getpid()}")
        pq.write_table(estimates.cast(ESTIMATE_SCHEMA), temporary)
        temporary.replace(target)
        write_whole(self._state(period), state.to_json())

    def state(self, period: int) -> WalkState:
        """The state that a finished period left."""
        return WalkState.from_json(self._state(period).read_text())

    def estimates(self, periods: int) -> pa.Table:
        """The estimates of all periods."""
        parts = [pq.read_table(self._estimates(period)) for period in range(periods)]
        return pa.concat_tables(parts) if parts else ESTIMATE_SCHEMA.empty_table()

    def lost(self, periods: int) -> str | None:
        """A model that the next period needs and whose file is lost, in words; None when all are there.

        Args:
            periods: Periods of the backtest.
        """
        last = max((period for period in range(periods) if self.finished(period)), default=None)
        if last is None:
            return None
        state = self.state(last)
        shas = [
            sha
            for folds in state.folds.values()
            for fold in folds
            for sha in (fold.prior_sha, fold.scale_sha)
        ]
        shas += [held.champion.local_sha for held in state.champions.values()]
        problems = (self.artifacts.problem(sha) for sha in shas if sha)
        return next((problem for problem in problems if problem), None)

    def forget_periods(self) -> None:
        """Delete what is finished, so that all of it is computed again."""
        for state in self.folder.glob("period-*.json"):
            state.unlink()

    def forget_models(self) -> None:
        """Delete the models: a finished backtest needs its parts only."""
        shutil.rmtree(self._artifacts, ignore_errors=True)

    def _state(self, period: int) -> Path:
        return self.folder / f"period-{period:03}.json"

    def _estimates(self, period: int) -> Path:
        return self.folder / f"period-{period:03}.parquet"
