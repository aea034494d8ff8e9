"""Content-addressed model files.

Here: where a fitted CatBoost model lives, in a folder or an object store, and how it gets there in one atomic step.
Not here: which model is in use (`ml.registry.champions`), or how one is fitted (`ml.models`).

Concept: a file's name is the SHA-256 of its bytes, so a model version names its exact content, writing twice
is harmless, and a step killed half-way leaves no half-written model under a valid name. CatBoost stamps a
random id and the clock into each file; both are blanked so that the same data, configuration and seed give
the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lake.files import Files, FolderFiles

if TYPE_CHECKING:
    from catboost import CatBoostRegressor

_WAY_OUT = "`assay run` fits it again"
_STAMPS = {"model_guid": "", "train_finish_time": "", "training": "{}"}


class ArtifactLostError(Exception):
    """A model version refers to a file that the artefact store does not have whole; it can be fitted again."""


class ArtifactMissingError(ArtifactLostError):
    """There is no such file."""


class ArtifactCorruptError(ArtifactLostError):
    """The file cannot be read, or its bytes do not match the digest in its name."""


@dataclass(frozen=True)
class ArtifactStore:
    """Model files, named `ab/<sha256>.<suffix>`.

    Attributes:
        files: The place they are in.
    """

    files: Files

    @classmethod
    def in_folder(cls, folder: Path) -> ArtifactStore:
        """The store in a folder, which is made on first write."""
        return cls(FolderFiles(folder))

    def uri(self, sha: str | None, suffix: str = "cbm") -> str:
        """The artefact as a URI, the `source` of a registered model version; without one, a name that no file has."""
        return self.files.uri(_name(sha, suffix) if sha else "none")

    def put_bytes(self, content: bytes, suffix: str) -> str:
        """Store bytes under their digest, atomically; a damaged file of that name is replaced.

        Returns:
            The SHA-256 of the content, in hex.
        """
        sha = hashlib.sha256(content).hexdigest()
        if self.problem(sha, suffix) is not None:
            self.files.write(_name(sha, suffix), content)
        return sha

    def put_model(self, model: CatBoostRegressor) -> str:
        """Store a fitted model; returns the digest of its bytes."""
        return self.put_bytes(model_bytes(model), "cbm")

    def get_bytes(self, sha: str, suffix: str = "cbm") -> bytes:
        """The stored bytes, checked against their name.

        Raises:
            ArtifactMissingError: When the store has no such file.
            ArtifactCorruptError: When it cannot be read, or does not hash to the name.
        """
        name = _name(sha, suffix)
        place = self.files.shown(name)
        try:
            content = self.files.read(name)
        except FileNotFoundError as error:
            raise ArtifactMissingError(f"expected a model file at {place}, found none; {_WAY_OUT}") from error
        except OSError as error:
            raise ArtifactCorruptError(
                f"expected a model file at {place}, found {error.strerror or error}; {_WAY_OUT}"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha:
            raise ArtifactCorruptError(
                f"expected {place} to hash to its name, found {len(content)} bytes that hash to {found}; {_WAY_OUT}"
            )
        return content

    def problem(self, sha: str, suffix: str = "cbm") -> str | None:
        """Why the artefact is lost, for people; None when it is there and whole. Reads all of it."""
        try:
            self.get_bytes(sha, suffix)
        except ArtifactLostError as error:
            return str(error)
        return None

    def get_model(self, sha: str) -> CatBoostRegressor:
        """A stored model, ready to predict."""
        return model_from_bytes(self.get_bytes(sha))


def _name(sha: str, suffix: str) -> str:
    return f"{sha[:2]}/{sha}.{suffix}"


def model_bytes(model: CatBoostRegressor) -> bytes:
    """The model in CatBoost's own format without its random id and clock stamps."""
    metadata = model.get_metadata()
    for stamp, blank in _STAMPS.items():
        metadata[stamp] = blank
    with tempfile.NamedTemporaryFile(suffix=".cbm") as file:
        model.save_model(file.name)
        return Path(file.name).read_bytes()


def model_from_bytes(content: bytes) -> CatBoostRegressor:
    """The model that `model_bytes` wrote."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor()
    model.load_model(blob=content)
    return model
