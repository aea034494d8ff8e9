"""Where work on collections runs: on this machine, or on a Ray cluster.

A part of `orchestration.settings.Settings`, in a file of its own for its length.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class ComputeSettings(BaseSettings):
    """The settings of computing. Their descriptions are the reference that `assay settings` prints."""

    compute: Literal["threads", "ray"] = Field(
        "threads",
        description="where work on collections runs: threads and processes of this machine, or ray (a cluster)",
    )
    ray_address: str | None = Field(
        None,
        description="host:port of the head of a Ray cluster, for compute=ray; default: one is started on this machine",
    )

    @model_validator(mode="after")
    def _compute_is_possible(self) -> ComputeSettings:
        """Fails early: a fit starts minutes after the command."""
        if self.compute == "ray" and find_spec("ray") is None:
            raise ValueError(
                "ASSAY_COMPUTE=ray: expected the package ray, found none; install it (`pip install 'assay[ray]'`), or "
                "work without it, ASSAY_COMPUTE=threads"
            )
        if self.compute != "ray" and self.ray_address:
            raise ValueError(
                f"ASSAY_RAY_ADDRESS: expected ASSAY_COMPUTE=ray beside it, found {self.compute}; set both or neither"
            )
        return self
