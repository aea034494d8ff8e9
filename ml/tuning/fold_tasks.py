"""Folds of a study, each a task for the backend: on this machine, or by a worker of a cluster.

Here: an objective whose folds are scored where the backend says. Not here: the objective itself
(`ml.tuning.local_objective`), or the search (`ml.tuning.study`), which stays in the process that writes trials down.

Concept: a trial is written down as soon as it ends, by the one process that may write. So what travels is one fold: the
collection's arrays there, the errors of its sales back. A lost machine costs the fold that it was at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.compute.backend import Backend
from ml.compute.tasks import Raised, one_in_a_process
from ml.tuning.spaces import Params
from ml.tuning.study import Deadline, Objective

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoldTask:
    """One call of `Objective.errors`."""

    objective: Objective
    params: Params
    fold: int
    deadline: Deadline
    seed: int | None


@one_in_a_process
def score_fold(task: FoldTask) -> Float:
    """The errors of a fold; raises what the objective raises."""
    return task.objective.errors(task.params, task.fold, task.deadline, task.seed)


@dataclass(frozen=True, eq=False)
class ObjectiveOnBackend:
    """The same objective, each fold scored by the backend; see `study.Objective`.

    Attributes:
        objective: What is computed; it must survive pickling where the backend has processes.
        backend: Where.
    """

    objective: Objective
    backend: Backend

    @property
    def folds(self) -> int:
        """Number of folds."""
        return self.objective.folds

    def errors(self, params: Params, fold: int, deadline: Deadline, seed: int | None = None) -> Float:
        """See `study.Objective`."""
        ((_, found),) = self.backend.run(score_fold, [FoldTask(self.objective, params, fold, deadline, seed)])
        if isinstance(found, Raised):
            raise found.error
        return found
