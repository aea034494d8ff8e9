"""Where a study is remembered while it runs: in the lake, one short transaction per trial.

Here: reading and writing a study's rows through a lake. Not here: the rows (`ml.tuning.tables`).

Concept: a study takes minutes and the lake has one writer. Nothing is held open between trials, so ingestion and
training go on during a study; a trial that is in the table survives whatever happens next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake.connection import Lake
from ml.tables.writing import timestamp
from ml.tuning.study import Trial
from ml.tuning.tables import Verdict, best_of_last_study, read_trials, standing, write_trial, write_verdict
from ml.tuning.windows import Windows


@dataclass(frozen=True)
class Journal:
    """A lake, and the run that writes to it.

    Attributes:
        lake: The lake.
        run_id: Written to decisions.
    """

    lake: Lake
    run_id: str

    def trials(self, study: str) -> list[Trial]:
        """Trials of a study from earlier calls."""
        with self.lake.read() as con:
            return read_trials(con, study)

    def best_of_last_study(self, kind: str, scope: str, study: str) -> dict[str, Any] | None:
        """Best settings of the scope's newest other study."""
        with self.lake.read() as con:
            return best_of_last_study(con, kind, scope, study)

    def standing(self, recipe: str, kind: str) -> dict[str, datetime]:
        """Until when the verdict on each scope stands, in the as-of time of that scope."""
        with self.lake.read() as con:
            return standing(con, recipe, kind)

    def keep(self, study: str, kind: str, scope: str, trial: Trial, windows: Windows) -> None:
        """Write a trial down."""
        window = timestamp(windows.tuning[0].cutoff), timestamp(windows.later_from)
        with self.lake.write(f"tuning trial {trial.number} of {scope}") as con:
            write_trial(con, study, kind, scope, trial, window)

    def decide(self, verdict: Verdict) -> None:
        """Write a verdict and its decision down."""
        with self.lake.write(f"tuning verdict on {verdict.scope}") as con:
            write_verdict(con, verdict, self.run_id)
