"""The folder of backups: contents by digest, and a manifest for each backup.

Here: putting contents and manifests in, getting them out, and removing old ones. Not here: what of a home is put in
(`orchestration.backup.taking`).

Concept: a content has its SHA-256 as name, so what several backups share is there once, a content is never changed, and
what is damaged is noticed. A manifest is written last and in one step: a process killed before that leaves the earlier
backups as they were, and contents that the next backup uses or removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lake.storage import place_new, write_whole
from orchestration.backup.errors import BackupError
from orchestration.backup.manifest import Manifest, digest_of

MARKER = "assay-backup.json"
_CONTENTS, _MANIFESTS, _UNFINISHED, _LOCK = "contents", "manifests", "unfinished", "backup.lock"
_NAME = re.compile(r"(?P<number>\d{6})-\d{8}T\d{6}Z-(?P<digest>[0-9a-f]{16})\.json")
_BLOCK = 1 << 20
PAGE = "docs/how-to/back-up-and-restore.md"


class UnreadableFileError(Exception):
    """A file that is to be copied cannot be read, or is not as it was written; the message says how."""


@dataclass(frozen=True)
class Content:
    """A content of the folder.

    Attributes:
        sha256: Its name.
        bytes: Its size.
        copied: Whether it was copied now; it may have been there.
    """

    sha256: str
    bytes: int
    copied: bool


@dataclass
class BackupFolder:
    """A folder of backups of one lake.

    Attributes:
        path: The folder, absolute.
        verify: Read every content that is there before it is relied on, and copy a damaged one again.
    """

    path: Path
    verify: bool = False

    def prepare(self, lake_id: str) -> None:
        """Make the folder, or make sure that it is one for this lake; the caller holds `locked`.

        Raises:
            BackupError: It holds other files, or backups of another lake.
        """
        marker = self.path / MARKER
        if marker.exists():
            try:
                held = json.loads(marker.read_text())["lake_id"]
            except (ValueError, KeyError, TypeError) as error:
                raise BackupError(
                    f"Expected {marker} to name the lake of these backups, found something else ({error}); remove that "
                    f"file if they are of this home, and back up again ({PAGE})."
                ) from error
            if held != lake_id:
                raise BackupError(
                    f"Expected backups of lake {lake_id} in {self.path}, found those of lake {held}; give each home a "
                    "folder of its own."
                )
        elif not (self.path / _MANIFESTS).is_dir() and any(
            entry.name != _LOCK for entry in self.path.iterdir()
        ):
            raise BackupError(
                f"Expected an empty folder or one of backups at {self.path}, found other files; name another."
            )
        for name in (_CONTENTS, _MANIFESTS, _UNFINISHED):
            (self.path / name).mkdir(exist_ok=True)
        write_whole(marker, json.dumps({"lake_id": lake_id}) + "\n")
        for leftover in (self.path / _UNFINISHED).iterdir():
            leftover.unlink()

    @contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Hold the folder: one process at a time puts in or takes out. It is made if it is missing.

        Raises:
            BackupError: Another process has it for longer.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout as error:
            raise BackupError(
                f"Waited {timeout_s:.0f} s for another process that uses the backups in {self.path}; let it finish, "
                "then try again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def unfinished(self) -> Path:
        """A new path for a file that is not finished, in the file system of the folder."""
        return self.path / _UNFINISHED / uuid.uuid4().hex

    def content(self, sha256: str) -> Path:
        """Where a content is, whether or not it exists."""
        return self.path / _CONTENTS / sha256[:2] / sha256

    def holds(self, sha256: str, size: int | None = None) -> bool:
        """Whether a content is there, of that size; with `verify`, whether it has its digest, too."""
        path = self.content(sha256)
        try:
            if size is not None and path.stat().st_size != size:
                return False
            return path.exists() if not self.verify else _sha256(path) == sha256
        except OSError:
            return False

    def put(self, source: Path, expected: str | None = None, size: int | None = None) -> Content:
        """Copy a file in, unless its content is there already.

        Args:
            source: The file.
            expected: The digest that it had when it was written; it is not read if that content is there.
            size: Its size then.

        Raises:
            UnreadableFileError: It cannot be read, or has another digest.
            OSError: The folder cannot be written.
        """
        if expected is not None and self.holds(expected, size):
            return Content(expected, self.content(expected).stat().st_size, copied=False)
        unfinished = self.unfinished()
        digest, length = _copied(source, unfinished)
        if expected is not None and digest != expected:
            unfinished.unlink()
            raise UnreadableFileError("other bytes than were written")
        return self.adopt(unfinished, digest, length)

    def adopt(self, unfinished: Path, digest: str | None = None, length: int | None = None) -> Content:
        """Give a finished file its name as a content."""
        sha256 = digest or _sha256(unfinished)
        length = unfinished.stat().st_size if length is None else length
        copied = not self.holds(sha256, length)
        target = self.content(sha256)
        target.parent.mkdir(exist_ok=True)
        # One that is there may be damaged: this one was just read.
        unfinished.replace(target)
        return Content(sha256, length, copied)

    def get(self, sha256: str, target: Path) -> None:
        """Write a content to a file, in one step, compared with its digest; an existing file is replaced.

        Raises:
            UnreadableFileError: It is not there, or damaged.
            OSError: The file cannot be written.
        """
        partial = target.with_name(f".{sha256[:16]}.{os.getpid()}.tmp")
        try:
            digest, _ = _copied(self.content(sha256), partial)
            if digest != sha256:
                raise UnreadableFileError("other bytes than were backed up")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Names of the backups, oldest first."""
        folder = self.path / _MANIFESTS
        found = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
        return sorted(name.removesuffix(".json") for name in found if _NAME.fullmatch(name))

    def read(self, name: str | None = None) -> tuple[str, Manifest]:
        """A backup's name and manifest; None: the newest.

        Raises:
            BackupError: There is none, or it is damaged; names the others.
        """
        names = self.names()
        if not names or (name is not None and name not in names):
            what = "a backup" if name is None else f"the backup {name}"
            there = f"these: {', '.join(names)}" if names else "none"
            raise BackupError(
                f"Expected {what} in {self.path}, found {there}; name the folder of `assay backup` ({PAGE})."
            )
        chosen = name or names[-1]
        match = _NAME.fullmatch(f"{chosen}.json")
        assert match is not None
        try:
            text = (self.path / _MANIFESTS / f"{chosen}.json").read_text()
            return chosen, Manifest.from_text(text, match["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            others = [one for one in names if one != chosen]
            way = f"restore an earlier one with --backup {others[-1]}" if others else "there is no other"
            raise BackupError(
                f"Expected the manifest of backup {chosen} as it was written, found it damaged ({error}); {way}."
            ) from error

    def finish(self, manifest: Manifest) -> str:
        """Write the manifest of a backup whose contents are all there; returns the backup's name."""
        # All contents reach the disk before the manifest that names them.
        os.sync()
        text = manifest.to_text()
        names = self.names()
        number = int(names[-1].split("-")[0]) + 1 if names else 1
        made_at = datetime.fromisoformat(manifest.made_at)
        name = f"{number:06d}-{made_at:%Y%m%dT%H%M%SZ}-{digest_of(text)}"
        finished = self.unfinished()
        write_whole(finished, text)
        place_new(finished, self.path / _MANIFESTS / f"{name}.json")
        finished.unlink(missing_ok=True)
        os.sync()
        return name

    def remove_old(self, keep: int) -> int:
        """Remove all but the newest backups, and contents that none of those needs; returns how many backups.

        Raises:
            BackupError: A backup that is kept cannot be read: nothing is removed, as what it needs is not known.
        """
        names = self.names()
        kept = [self.read(name)[1] for name in names[-keep:]]
        for name in names[:-keep]:
            (self.path / _MANIFESTS / f"{name}.json").unlink()
        needed = {file.sha256 for manifest in kept for file in manifest.files}
        for content in (self.path / _CONTENTS).glob("*/*"):
            if content.name not in needed:
                content.unlink()
        return len(names[:-keep])


def _copied(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file; returns the digest and the size of what was read."""
    digest, length = hashlib.sha256(), 0
    try:
        reading = source.open("rb")
    except FileNotFoundError:
        raise UnreadableFileError("no file") from None
    except OSError as error:
        raise UnreadableFileError(f"a file that cannot be read ({error.strerror})") from error
    with reading, target.open("xb") as writing:
        while block := _block(reading):
            digest.update(block)
            length += writing.write(block)
    return digest.hexdigest(), length


def _block(reading: object) -> bytes:
    try:
        block: bytes = reading.read(_BLOCK)  # type: ignore[attr-defined]
    except OSError as error:
        raise UnreadableFileError(f"a file that cannot be read ({error.strerror})") from error
    return block


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
