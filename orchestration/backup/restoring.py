"""Restoring: a whole home from a backup, or single files of a home that are lost or damaged.

Here: comparing with the manifest and putting files in place. Not here: the folder of backups
(`orchestration.backup.folder`).

Concept: a home is restored under a name beside its own and gets its name when every file is there and has its digest. A
process killed before that leaves the unfinished folder, which the next one continues.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lake.backup_record import LastBackup, remember
from lake.digests import review
from ml.text.visible import visible
from orchestration.backup.errors import BackupError
from orchestration.backup.folder import BackupFolder, UnreadableFileError
from orchestration.backup.manifest import BackedUpFile, Manifest
from orchestration.backup.taking import CATALOG, LAKE_FILES

if TYPE_CHECKING:
    from orchestration.resources import Assay

_LOCK = "restoring.lock"
SHOWN = 5
"""Files that a message names."""


@dataclass(frozen=True)
class RestoreReport:
    """What a restore did.

    Attributes:
        home: The home that is there now.
        name: The backup.
        manifest: What it holds.
        missing: `path: reason` of files that could not be restored.
        seconds: What it took.
    """

    home: Path
    name: str
    manifest: Manifest
    missing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class RepairReport:
    """What replacing damaged files did.

    Attributes:
        replaced: Paths within the home, or the lake's folder, of files that are whole again.
        missing: `path: reason` of those that no backup in the folder has.
    """

    replaced: tuple[str, ...]
    missing: tuple[str, ...]


def restore(
    folder: BackupFolder,
    to: Path | None,
    name: str | None = None,
    *,
    incomplete: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RestoreReport:
    """Make a home from a backup.

    Args:
        folder: The folder of backups.
        to: The home to make; it must not exist, or be an empty folder. None: where the home was.
        name: Which backup; None: the newest.
        incomplete: Restore what is whole although other files are damaged or missing; never without the catalog.
        say: Called with progress messages.

    Raises:
        BackupError: The home exists, another process restores it, or the backup is not whole; no home was made.
    """
    began = time.monotonic()
    chosen, manifest = folder.read(name)
    home = (to or Path(manifest.home)).expanduser().absolute()
    _refuse_existing(home)
    os.umask(0o077)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        part = home.with_name(f".{home.name}.restoring")
        with _alone(part):
            _refuse_existing(home)
            say(f"restoring {manifest.described}")
            missing = _fill(folder, manifest, part)
            missing = [*manifest.missing, *missing]
            if missing and (not incomplete or any(one.startswith(f"{CATALOG}:") for one in missing)):
                raise BackupError(
                    f"Expected every file of backup {chosen} whole, found {len(missing)} that are not: "
                    f"{_shown(missing)}. No home was made; restore another backup with --backup (`--list` names them), "
                    "or what is whole with --incomplete."
                )
            remember(part, LastBackup(str(folder.path), chosen, manifest.made_at, manifest.snapshot))
            os.sync()
            part.rename(home)
            (home / _LOCK).unlink()
    except OSError as error:
        raise BackupError(
            f"Expected to restore to {home}, found: {error.strerror or error} ({error.filename}); the backup is as it "
            "was. Make room or name another place with --to; a second try continues."
        ) from error
    return RestoreReport(home, chosen, manifest, tuple(missing), time.monotonic() - began)


def replace_damaged(assay: Assay, folder: BackupFolder) -> RepairReport:
    """Put back files of an existing home that never change, where they are lost or damaged: the lake's, and models.

    Any backup in the folder may have them. A file is put in place only if it has the digest that it was written with.

    Raises:
        BackupError: The folder has no readable backup.
    """
    replaced, missing = [], []
    lake_folder = assay.lake.data_folder
    with assay.lake.read() as con:
        damaged = review(con, lake_folder).damaged
    in_backup = {file.path: file for manifest in _readable(folder) for file in manifest.files}
    wanted: list[tuple[str, Path, str | None]] = []
    for one in damaged:
        known = in_backup.get(f"{LAKE_FILES}/{one.path}")
        wanted.append(
            (one.path, Path(lake_folder, one.path), one.sha256 or (known.sha256 if known else None))
        )
    home = assay.settings.home_path
    wanted += [
        (file.path, home / file.path, file.sha256)
        for file in in_backup.values()
        if file.path.startswith("artifacts/") and not _is_whole(home / file.path, file)
    ]
    for path, target, sha256 in wanted:
        if sha256 is None:
            missing.append(f"{path}: no digest was recorded, and no backup has it")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.get(sha256, target)
            replaced.append(path)
        except UnreadableFileError as error:
            missing.append(f"{path}: {error}")
    return RepairReport(tuple(replaced), tuple(missing))


def _readable(folder: BackupFolder) -> Iterator[Manifest]:
    """Every backup, the oldest first; of those beside the newest, one that is damaged is passed over."""
    newest = folder.read()
    for name in folder.names():
        if name != newest[0]:
            with suppress(BackupError):
                yield folder.read(name)[1]
    yield newest[1]


def _refuse_existing(home: Path) -> None:
    if home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir()))):
        raise BackupError(
            f"Expected no home at {home}, found one; nothing was changed. Restore to another place with --to, or move "
            "it aside first (`mv`). To put back damaged files of it, add --damaged instead."
        )


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """One restore of a home at a time: the lock is in the folder that is filled."""
    part.mkdir(exist_ok=True)
    lock = FileLock(part / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BackupError(f"Another process fills {part} now; let it finish.") from error
    try:
        yield
    finally:
        lock.release()


def _fill(folder: BackupFolder, manifest: Manifest, part: Path) -> list[str]:
    """Write every file of a backup into a folder; returns `path: reason` of those that are not whole in the backup."""
    wanted = {_LOCK, *(file.path for file in manifest.files)}
    for path in [path for path in part.rglob("*") if path.is_file()]:
        if path.relative_to(part).as_posix() not in wanted:
            path.unlink()  # of another backup, which an interrupted restore has left
    missing = []
    for file in manifest.files:
        target = part / file.path
        if _is_whole(target, file):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.get(file.sha256, target)
        except UnreadableFileError as error:
            missing.append(f"{file.path}: {error}")
    return missing


def _is_whole(path: Path, file: BackedUpFile) -> bool:
    import hashlib

    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _shown(missing: list[str]) -> str:
    more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return "; ".join(visible(one) for one in missing[:SHOWN]) + more
