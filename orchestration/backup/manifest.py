"""The manifest of a backup: every file of a home with its digest, and what is needed to judge it.

Here: its content, its text, and refusing one that is damaged. Not here: the files (`orchestration.backup.folder`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import PurePosixPath

from ml.text.times import utc_minute
from orchestration.backup.errors import BackupError

FORMAT = 1


@dataclass(frozen=True)
class BackedUpFile:
    """One file.

    Attributes:
        path: Within the home, with `/`.
        sha256: Of its content, hex; the name of the content in the backup's folder.
        bytes: Its size.
    """

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What one backup holds.

    Attributes:
        made_at: When it was begun (ISO 8601, UTC).
        home: The home it was made of.
        lake_id: The lake in it.
        snapshot: The lake's newest snapshot in it.
        assay: Version of Assay.
        settings: Settings that were set and are no secrets, by environment variable. Those that the home keeps itself
            are in its files.
        files: Every file.
        missing: `path: reason` of each file that could not be read as it was written, and is not in it.
        elsewhere: What belongs to the home but is kept by another service, in sentences.
    """

    made_at: str
    home: str
    lake_id: str
    snapshot: int
    assay: str
    settings: dict[str, str]
    files: tuple[BackedUpFile, ...]
    missing: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def described(self) -> str:
        """In a line: when, which snapshot, how much."""
        missing = f", {len(self.missing)} files missing" if self.missing else ""
        return (
            f"{utc_minute(datetime.fromisoformat(self.made_at))}, snapshot {self.snapshot}, {len(self.files):,} "
            f"files, {self.bytes / 1e6:,.1f} MB{missing}, of {self.home}"
        )

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str, digest: str) -> Manifest:
        """The manifest that `to_text` wrote.

        Raises:
            ValueError: It has another digest (`digest_of`).
            BackupError: It is of a newer Assay, or names a file outside of a home.
        """
        if digest_of(text) != digest:
            raise ValueError("its digest is another")
        held = json.loads(text)
        if held["format"] != FORMAT:
            raise BackupError(
                f"Expected a backup of format {FORMAT}, found {held['format']}; restore it with the version of Assay "
                f"that made it ({held.get('assay', 'unknown')})."
            )
        known = {field.name: held[field.name] for field in fields(cls)}
        files = tuple(BackedUpFile(**file) for file in held["files"])
        for file in files:
            parts = PurePosixPath(file.path).parts
            if not parts or file.path.startswith("/") or ".." in parts or "\0" in file.path:
                raise BackupError(
                    f"Expected files within a home in the manifest, found {file.path!r}; it was not restored."
                )
            if len(file.sha256) != 64 or set(file.sha256) - set("0123456789abcdef"):
                raise BackupError(
                    f"Expected a SHA-256 of {file.path!r} in the manifest, found {file.sha256[:80]!r}."
                )
        return cls(
            **{
                **known,
                "files": files,
                "missing": tuple(held["missing"]),
                "elsewhere": tuple(held["elsewhere"]),
            }
        )


def digest_of(text: str) -> str:
    """What of a manifest's content is in its name: a manifest that was changed does not fit its name."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
