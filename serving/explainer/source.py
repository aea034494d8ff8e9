"""What reasons are computed from. Here: its places, also as JSON for another process. Not here: opening them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.config import LakeConfig
from lake.files import Files, FolderFiles, files_of_values
from ml.registry.folder import FOLDER


@dataclass(frozen=True)
class ReasonSource:
    """A lake and the files of its models.

    Attributes:
        lake: Where estimates and features are.
        models: Where model files are.
    """

    lake: LakeConfig
    models: Files

    @classmethod
    def of_home(cls, lake: LakeConfig) -> ReasonSource:
        """With the models in the home of the lake."""
        return cls(lake, FolderFiles(lake.home / FOLDER))

    @classmethod
    def of_values(cls, values: Mapping[str, Any] | None) -> ReasonSource | None:
        """What was written as JSON (`dataclasses.asdict`, paths as text)."""
        if values is None:
            return None
        return cls(LakeConfig.of_values(values["lake"]), files_of_values(values["models"]))
