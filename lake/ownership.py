"""Which lake owns the files: the lake's private folder below the data path, and the marker file in it.

One data path holds one lake. Its files are in a folder of its own with a marker that names the lake and its catalog.
Opening the lake compares the two before anything is read or written, so that two lakes never share a folder and
maintenance never finds another lake's files. Lakes made before markers existed stay where they are and get one
(ADR 23). Here: the folder, its marker, and refusing another lake's. Not here: which files maintenance may remove
(`lake.cleanup`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from lake.catalog import Catalog, files_of_catalog, read_sqlite_catalog
from lake.config import LakeConfig
from lake.errors import DataPathError
from lake.storage import Storage, is_object_store

logger = logging.getLogger(__name__)

PRIVATE_FOLDER = "assay-lake"
"""The lake's folder below a data path that the settings name."""

MARKER = "assay-lake.json"
"""Name of the marker in the lake's folder."""

PAGE = "docs/runbook/data-path-refused.md"

OBJECTS_SAMPLED = 50
"""How many of the catalog's files are checked in an object store without a marker; in a folder all of them are."""

Connect = Callable[[], duckdb.DuckDBPyConnection]


@dataclass(frozen=True)
class Marker:
    """Content of the marker file.

    Attributes:
        lake_id: The lake the folder belongs to.
        catalog: Address of the catalog that owns the files, without user and password.
        server: Of a PostgreSQL catalog, what does not depend on its host name (`Catalog.server`).
        folder: Path of the folder when this was written; it differs in a copy of the folder.
        since: When the folder was marked (ISO 8601, UTC). Only what was written later is certainly this lake's.
    """

    lake_id: str
    catalog: str
    server: str | None
    folder: str
    since: str

    @property
    def marked_at(self) -> datetime:
        """`since` as a time."""
        return datetime.fromisoformat(self.since)


def data_folder(config: LakeConfig, made_at: str | None) -> str:
    """The folder or prefix of the lake's files, with trailing slash. Every process that opens the lake uses this.

    Args:
        config: The lake's settings.
        made_at: Where its files were put first (`Catalog.data_path`); None if there is no catalog yet.

    Returns:
        Without a data path ``home/lake/data/``, which is private already. With one, its subfolder ``assay-lake/``;
        a lake that was made with its files directly in the data path keeps them there.
    """
    if config.data_path is None or (
        made_at is not None and made_at.rstrip("/").split("/")[-1] != PRIVATE_FOLDER
    ):
        return config.data_root
    return f"{config.data_root}{PRIVATE_FOLDER}/"


def refuse_other_lakes(config: LakeConfig, lake_id: str | None, connect: Connect) -> None:
    """Refuse a data path that carries another lake's marker, in the path itself or in the private folder.

    Args:
        config: The lake's settings.
        lake_id: This lake; None if it is not made yet, so that any marker is another's.
        connect: Opens a connection that reaches an object store.

    Raises:
        DataPathError: If there is one.
    """
    for folder in dict.fromkeys((config.data_root, data_folder(config, None))):
        marker = read_marker(Storage(folder, connect))
        if marker is not None and marker.lake_id != lake_id:
            mine = f"lake {lake_id}" if lake_id else "no lake, as this one is new"
            raise DataPathError(
                f"The data path {config.data_root} belongs to another lake: expected {mine}, found the marker "
                f"{folder}{MARKER} of lake {marker.lake_id} with catalog {marker.catalog}; give this lake a data path "
                f"of its own (ASSAY_DATA_PATH), nothing was changed ({PAGE})."
            )


def claim(config: LakeConfig, catalog: Catalog, connect: Connect) -> str:
    """Make sure that the lake's folder carries this lake's marker, and return that folder.

    Needs no lock: creating the marker is one step that fails if one exists. The process may be killed at any time; the
    next call continues.

    Args:
        config: The lake's settings.
        catalog: Its catalog.
        connect: Opens a connection that reaches an object store.

    Raises:
        DataPathError: If the folder belongs to another lake, to another catalog of this lake, or does not hold the
            files that the catalog names.
    """
    refuse_other_lakes(config, catalog.lake_id, connect)
    storage = Storage(data_folder(config, catalog.data_path), connect)
    marker = read_marker(storage)
    mine = Marker(
        lake_id=catalog.lake_id,
        catalog=catalog.address,
        server=catalog.server,
        folder=storage.folder,
        since=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    if marker is None:
        _mark(config, storage, mine)
        marker = read_marker(storage)
    if marker is None:
        return storage.folder
    if marker.lake_id != mine.lake_id:  # two lakes were created here at once, and the other came first
        refuse_other_lakes(config, catalog.lake_id, connect)
    known = _same_catalog(marker, catalog)
    # Machines that share a PostgreSQL catalog may mount the folder under names of their own.
    if known and (marker.folder == storage.folder or marker.server is not None):
        return storage.folder
    if not known and not _is_copy(storage, marker) and _may_be_in_use(marker, catalog):
        raise DataPathError(
            f"The files in {storage.folder} belong to the catalog {marker.catalog}, of which {catalog.address} is a "
            "copy: expected one catalog for these files; copy the folder and name the copy in ASSAY_DATA_PATH, or, if "
            f"the other catalog is out of use for good, remove {storage.folder}{MARKER} and start again ({PAGE})."
        )
    try:
        storage.replace(MARKER, _text(replace(mine, since=marker.since)))
    except OSError as error:
        logger.warning("%s%s still names the lake's old place: %s", storage.folder, MARKER, error)
    return storage.folder


def owned(config: LakeConfig, catalog: Catalog, connect: Connect) -> Marker:
    """The marker of a folder in which files are about to be deleted.

    Raises:
        DataPathError: If the folder is not this lake's, or could not be marked.
    """
    folder = claim(config, catalog, connect)
    marker = read_marker(Storage(folder, connect))
    if marker is None or marker.lake_id != catalog.lake_id or not _same_catalog(marker, catalog):
        raise DataPathError(
            f"Files are deleted only in a folder with this lake's marker: expected {folder}{MARKER} of lake "
            f"{catalog.lake_id}, found {marker}; make the folder writable and start again ({PAGE})."
        )
    return marker


def read_marker(storage: Storage) -> Marker | None:
    """The marker of a folder; None where there is none, or a kill left it empty.

    Raises:
        DataPathError: If the file is there and is no marker.
    """
    text = storage.read(MARKER)
    if text is None or not text.strip():
        return None
    try:
        return Marker(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise DataPathError(
            f"Expected {storage.folder}{MARKER} to be the marker of a lake, found {text[:80]!r} ({error}); remove the "
            f"file if the folder is this lake's, and start again ({PAGE})."
        ) from error


def _text(marker: Marker) -> str:
    return json.dumps(asdict(marker)) + "\n"


def _mark(config: LakeConfig, storage: Storage, mine: Marker) -> None:
    """Mark a folder without a marker: of a lake made before markers existed, just made, or restored without it."""
    referenced = sorted(files_of_catalog(config))
    step = len(referenced) // OBJECTS_SAMPLED + 1 if is_object_store(storage.folder) else 1
    if referenced and not any(storage.has(name) for name in referenced[::step]):
        raise DataPathError(
            f"Expected the lake's files in {storage.folder}, found none of those that the catalog {mine.catalog} lists "
            f"(such as {referenced[0]}); mount or move them there, or correct ASSAY_DATA_PATH ({PAGE})."
        )
    try:
        # An empty marker: the process was killed between creating and writing it. Never replace one just written.
        if not storage.create(MARKER, _text(mine)) and not (storage.read(MARKER) or "").strip():
            storage.replace(MARKER, _text(mine))
    except OSError as error:
        if not referenced:
            raise DataPathError(
                f"Expected to write in {storage.folder}, found {error}; make it writable, or name another folder in "
                f"ASSAY_DATA_PATH ({PAGE})."
            ) from error
        # Reading can continue. Nothing is deleted there: that needs the marker (`owned`).
        logger.warning("%s cannot be marked as this lake's: %s", storage.folder, error)


def _same_catalog(marker: Marker, catalog: Catalog) -> bool:
    if catalog.server is not None:
        return marker.server == catalog.server
    if marker.server is not None:
        return False
    return marker.catalog == catalog.address or _same_file(
        _sqlite_path(marker.catalog), _sqlite_path(catalog.address)
    )


def _is_copy(storage: Storage, marker: Marker) -> bool:
    """Whether the folder was copied from where its marker was written, so that these files are the copy's own."""
    if is_object_store(storage.folder) or is_object_store(marker.folder):
        return marker.folder != storage.folder
    there = read_marker(Storage(marker.folder, storage.connect))
    return (
        there is not None
        and there.lake_id == marker.lake_id
        and not _same_file(Path(marker.folder), Path(storage.folder))
    )


def _may_be_in_use(marker: Marker, catalog: Catalog) -> bool:
    """Whether the marker's catalog may still be in use; True where that is unknown, as for one in PostgreSQL."""
    if marker.server is not None:
        return True
    try:
        there = read_sqlite_catalog(_sqlite_path(marker.catalog))
    except (duckdb.Error, OSError):
        return True  # something exists that cannot be read: the operator decides
    return there is not None and there.lake_id == catalog.lake_id


def _sqlite_path(address: str) -> Path:
    return Path(address.removeprefix("sqlite:"))


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
