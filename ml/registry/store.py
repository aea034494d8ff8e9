"""The registry's SQLite file: made whole or not at all, and quick to commit to.

Here: what Assay does for the embedded default of MLflow's store before MLflow opens it. Not here: what is registered
(`ml.registry.champions`); a store on a server is made and migrated by the operator of that server.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from filelock import FileLock

from lake.storage import place_new, write_whole

_SCHEME = "sqlite:///"
EMPTY = Path(cache_from_source(__file__)).with_name(f"mlflow-{version('mlflow-skinny')}.sqlite")
"""A store without models, as this version of MLflow makes it: kept where Python keeps this file's compiled code."""


def prepare(url: str, empty: Path = EMPTY) -> None:
    """Make a missing SQLite store and let it commit fast; does nothing for any other URL.

    Args:
        url: An MLflow registry URI.
        empty: The file of a store without models; made when it is missing.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401 - sets the level of its logger, which the next line is to outlast

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if url.startswith(_SCHEME):
        database = Path(url.removeprefix(_SCHEME))
        if _may_be_damaged(database):
            # The new store is made before the next process looks: it may otherwise look while that happens.
            with FileLock(database.with_name(f".{database.name}.lock")):
                _move_aside_if_damaged(database)
                _open(database, empty)
        else:
            _open(database, empty)


def _open(database: Path, empty: Path) -> None:
    _make(database, empty)
    _commit_without_waiting_for_the_disk(database)


def _may_be_damaged(database: Path) -> bool:
    """Whether SQLite cannot read the file now; it may be one that another process is just moving or writing.

    As a file that never changes: whoever opens it as a database deletes, when it closes it, the log that lies beside
    that name, and that may be the log of the new store by then.
    """
    try:
        return _damage(database, "mode=ro&immutable=1") is not None
    except sqlite3.OperationalError:
        return True


def _move_aside_if_damaged(database: Path) -> None:
    """Give a file that SQLite cannot read another name. What it had is registered again (`ml.registry.rebuilding`)."""
    found = _damage(database)
    if found is None:
        return
    aside = database.with_name(f"{database.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    logging.getLogger(__name__).warning(
        "%s is damaged (%s): moved to %s, and made again", database, found, aside
    )
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + ending).rename(aside.with_name(aside.name + ending))


def _damage(database: Path, how: str = "mode=rw") -> str | None:
    """What is wrong with the file; None if nothing is, or there is none."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True)) as connection:
            found = str(connection.execute("pragma quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # locked, moved, or not to be opened: nothing is wrong with what is in it
        found = str(error)
    return None if found == "ok" else found


def _make(database: Path, empty: Path) -> None:
    """Build the schema next to the database and link it into place.

    MLflow makes its tables by fifty migrations that SQLite does not undo: killed between two of them, it leaves a file
    that no later start can migrate. A link, unlike a rename, never replaces the store that another process made first.
    The migrations take 1–2 s, so their result is kept and copied (docs/adr/0004-registry.md).
    """
    if database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=f".{database.name}-") as scratch:
        made = Path(scratch) / database.name
        try:
            shutil.copyfile(empty, made)
        except OSError:
            # There is none, or none that this user may read.
            _migrate(made)
            _keep(made, empty)
        place_new(made, database)


def _migrate(database: Path) -> None:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"{_SCHEME}{database}").engine.dispose()


def _keep(made: Path, empty: Path) -> None:
    """Keep an empty store for the next home. An installation that cannot be written to does without."""
    with suppress(OSError):
        empty.parent.mkdir(parents=True, exist_ok=True)
        write_whole(empty, made.read_bytes())
        # For whoever may read the code: a home's files are made for their owner alone.
        empty.chmod(stat.S_IMODE(Path(__file__).stat().st_mode))


def _commit_without_waiting_for_the_disk(database: Path) -> None:
    """Let SQLite commit to its write-ahead log without an fsync each (13 ms each here, four a model).

    A killed process loses nothing. After a power cut the last registrations may be missing, the file is intact, and the
    next training registers them again.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode = wal")

    @event.listens_for(Engine, "connect")
    def relax(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy's signature
        if not isinstance(connection, sqlite3.Connection):
            return
        files = [row[2] for row in connection.execute("pragma database_list")]
        if any(name and Path(name) == database.resolve() for name in files):
            connection.execute("pragma synchronous = normal")
