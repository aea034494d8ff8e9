"""Model files of a test, to be damaged. Here: where they are in a folder. Not here: damaging them."""

from __future__ import annotations

from pathlib import Path

from lake.files import FolderFiles
from ml.registry.artifacts import ArtifactStore


def folder_of(store: ArtifactStore) -> Path:
    """The folder of a store that is in one."""
    assert isinstance(store.files, FolderFiles)
    return store.files.folder


def file_of(store: ArtifactStore, sha: str | None) -> Path:
    """The file of a model, whether or not it exists."""
    return folder_of(store) / str(sha)[:2] / f"{sha}.cbm"
