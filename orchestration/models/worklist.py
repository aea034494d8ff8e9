"""The run config of the job `retrain_worklist`: which collections a run trains, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def worklist_config(keys: Sequence[str], reason: str, *, learn_newest: bool) -> dict[str, Any]:
    """The run config that asks for these collections: an `orchestration.models.jobs.Worklist`."""
    worklist = {"collections": list(keys), "reason": reason, "learn_newest": learn_newest}
    return {"ops": {"train_worklist": {"config": worklist}}}


def collections_of(run_config: Mapping[str, Any]) -> list[str]:
    """The collections that a run config asks for."""
    return list(run_config["ops"]["train_worklist"]["config"]["collections"])
