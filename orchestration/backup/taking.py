"""Taking a backup of a home, while it is in use.

Here: what is copied in which order, and the manifest. Not here: where contents are kept
(`orchestration.backup.folder`), restoring (`orchestration.backup.restoring`).

Concept: first the catalog, between two commits, and the model registry with it; then the files that this catalog names,
which stay meanwhile; then all other files of the home. A champion of the copied lake is thus in the copied registry,
and its model file, which is never removed, in the copied artefacts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from lake.backup_record import LastBackup, remember
from lake.copying import CatalogCopy, copied
from lake.sqlite_files import copy_databases, is_sqlite
from lake.storage import relative_path
from orchestration.backup.contents import files_of_home
from orchestration.backup.errors import BackupError
from orchestration.backup.folder import BackupFolder, Content, UnreadableFileError
from orchestration.backup.manifest import BackedUpFile, Manifest
from orchestration.settings import PREFIX

if TYPE_CHECKING:
    from orchestration.resources import Assay
    from orchestration.settings import Settings

CATALOG = "lake/catalog.sqlite"
LAKE_FILES = "lake/data"
"""Where the lake's files are in a backup, and in the home that is restored from it, wherever they were."""

_REGISTRY = "mlflow.sqlite"


@dataclass(frozen=True)
class BackupReport:
    """What one backup did.

    Attributes:
        name: Its name in the folder.
        manifest: What it holds.
        files_copied: Contents that were copied now.
        bytes_copied: Their size.
        backups_removed: Earlier backups that were removed.
        not_removed: Why no earlier backup was removed; None: there is no such reason.
        seconds: What it took.
    """

    name: str
    manifest: Manifest
    files_copied: int
    bytes_copied: int
    backups_removed: int
    not_removed: str | None
    seconds: float


class _Taken:
    """What was put into the folder so far."""

    def __init__(self, folder: BackupFolder) -> None:
        self.folder = folder
        self.files: list[BackedUpFile] = []
        self.missing: list[str] = []
        self.copied: list[Content] = []

    def add(self, path: str, put: Callable[[], Content]) -> None:
        """Note a file; one that cannot be read is noted as missing, and the others go on."""
        try:
            content = put()
        except UnreadableFileError as error:
            self.missing.append(f"{path}: {error}")
            return
        self.files.append(BackedUpFile(path, content.sha256, content.bytes))
        if content.copied:
            self.copied.append(content)

    def add_database(self, path: str, copy: Path, problem: str | None) -> None:
        """Note the copy of an SQLite file, or why there is none."""
        if problem is None:
            self.add(path, lambda: self.folder.adopt(copy))
        else:
            self.missing.append(f"{path}: {problem}")
            copy.unlink(missing_ok=True)


def back_up(
    assay: Assay, folder: BackupFolder, keep: int, say: Callable[[str], None] = lambda _: None
) -> BackupReport:
    """Back a home up.

    Args:
        assay: The home.
        folder: Where to; outside of the home.
        keep: How many backups stay, this one included.
        say: Called with progress messages.

    Raises:
        BackupError: The folder is not one for this home, is in use, or cannot be written; earlier backups are as
            they were.
        lake.errors.LakeError: The lake cannot be copied.
    """
    began = time.monotonic()
    home = assay.settings.home_path
    if folder.path.is_relative_to(home) or home.is_relative_to(folder.path):
        raise BackupError(
            f"Expected a folder apart from the home {home}, found {folder.path}; name one on another disk, which is "
            "lost for other reasons than this one."
        )
    try:
        with folder.locked(assay.settings.lock_timeout_s):
            taken = _Taken(folder)
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            copy = _copy_lake(assay, taken, say)
            _copy_rest(home, taken, say)
            manifest = Manifest(
                made_at=made_at,
                home=str(home),
                lake_id=copy.lake_id,
                snapshot=copy.snapshot,
                assay=version("assay"),
                settings=_settings_without_secrets(assay.settings),
                files=tuple(sorted(taken.files, key=lambda file: file.path)),
                missing=tuple(taken.missing),
                elsewhere=_elsewhere(assay.settings),
            )
            name = folder.finish(manifest)
            remember(home, LastBackup(str(folder.path), name, manifest.made_at, manifest.snapshot))
            removed, not_removed = _remove_old(folder, keep)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise BackupError(
            f"Expected to write a backup to {folder.path}, found: {error.strerror or error}{where}; "
            "earlier backups there are as they were. Make room or name another folder, then try again."
        ) from error
    return BackupReport(
        name,
        manifest,
        len(taken.copied),
        sum(content.bytes for content in taken.copied),
        removed,
        not_removed,
        time.monotonic() - began,
    )


def _remove_old(folder: BackupFolder, keep: int) -> tuple[int, str | None]:
    """How many earlier backups were removed, and why none was; this backup is made either way."""
    try:
        return folder.remove_old(keep), None
    except BackupError as error:
        return 0, f"No earlier backup was removed: {error}"


def _copy_lake(assay: Assay, taken: _Taken, say: Callable[[str], None]) -> CatalogCopy:
    folder, home = taken.folder, assay.settings.home_path
    folder.prepare(_lake_id(assay))
    catalog, registry = folder.unfinished(), folder.unfinished()
    also = [(home / _REGISTRY, registry)] if (home / _REGISTRY).exists() else []
    with copied(assay.lake, catalog, also) as copy:
        taken.add(CATALOG, lambda: folder.adopt(catalog))
        if also:
            taken.add_database(_REGISTRY, registry, copy.problems[0])
        say(f"the lake at snapshot {copy.snapshot}: {len(copy.files):,} files")
        for file in copy.files:
            inside = relative_path(copy.folder, copy.folder + file.path)
            if inside is None:
                taken.missing.append(f"{file.path}: outside of the lake's folder {copy.folder}")
            elif file.sha256 is None:
                taken.missing.append(
                    f"{LAKE_FILES}/{inside}: missing or of another size than {file.bytes:,} bytes"
                )
            else:
                source, sha256, size = Path(copy.folder, inside), file.sha256, file.bytes
                taken.add(f"{LAKE_FILES}/{inside}", lambda s=source, d=sha256, n=size: folder.put(s, d, n))  # type: ignore[misc]
    return copy


def _copy_rest(home: Path, taken: _Taken, say: Callable[[str], None]) -> None:
    folder = taken.folder
    databases: list[tuple[str, Path, Path]] = []
    for path, file in files_of_home(home):
        try:
            if path == _REGISTRY:
                continue
            if is_sqlite(file):
                databases.append((path, file, folder.unfinished()))
                continue
        except FileNotFoundError:
            continue  # it was a temporary one
        except OSError as error:
            taken.missing.append(f"{path}: a file that cannot be read ({error.strerror})")
            continue
        # A model file is named after its digest.
        named = file.stem if path.startswith("artifacts/") and len(file.stem) == 64 else None
        taken.add(path, lambda f=file, n=named: folder.put(f, n))  # type: ignore[misc]
    say(f"{len(databases):,} databases")
    problems = copy_databases([(source, target) for _, source, target in databases])
    for (path, _, target), problem in zip(databases, problems, strict=True):
        taken.add_database(path, target, problem)


def _lake_id(assay: Assay) -> str:
    from lake.catalog import read_catalog

    with assay.lake.read():  # the lake is made or migrated if it has to be
        catalog = read_catalog(assay.lake.config)
    assert catalog is not None
    return catalog.lake_id


def _settings_without_secrets(settings: Settings) -> dict[str, str]:
    """The settings that were chosen, by variable; not the secret ones, and not those that the home keeps itself."""
    fields = type(settings).model_fields
    secret = {name for name in fields if isinstance(getattr(settings, name), SecretStr)}
    chosen = settings.model_fields_set - secret - {"home", *settings.remembered}
    kept = settings.as_environment()
    return {
        variable: kept[variable] for name in sorted(chosen) if (variable := PREFIX + name.upper()) in kept
    }


def _elsewhere(settings: Settings) -> tuple[str, ...]:
    found = []
    if settings.mlflow_url is not None:
        found.append("The model registry is on a server (ASSAY_MLFLOW_URL): back it up there.")
    if settings.dagster_url is not None:
        found.append("Dagster's run history is in a database (ASSAY_DAGSTER_URL): back it up there.")
    if settings.serving_store is not None:
        found.append(
            "The published store is in a database (ASSAY_SERVING_STORE): `assay run` publishes it again."
        )
    return tuple(found)
