"""The code location as its own jobs and the command line use it: one home on one clock, and its definitions.

Here: holding both together. Not here: what the definitions are made of (`orchestration.definitions`), which hands in
how they are built, so that a job can run other jobs without importing what it is part of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from orchestration.resources import Assay


CODE_LOCATION = "assay"
"""Its name: in `workspace.yaml`, of `assay ui`, and in the history of runs."""


@dataclass(frozen=True)
class CodeLocation:
    """One home on one clock, with its Dagster definitions.

    Attributes:
        assay: The home.
        build: Makes the definitions that are bound to this home.
        launched_by: Who launches runs in this process, for people: `assay run`.
    """

    assay: Assay
    build: Callable[[CodeLocation], dg.Definitions]
    launched_by: str = "Python"

    @cached_property
    def definitions(self) -> dg.Definitions:
        """Assets, checks, jobs, schedules and sensors of this home; built once."""
        return self.build(self)


LocationResource = dg.ResourceParam[CodeLocation]
