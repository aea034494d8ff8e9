"""The registry's SQLite file: made whole or not at all, and quick to commit to.

Here: what Assay does for the embedded default of MLflow's store before MLflow opens it. Not here: what is registered
(`champions`); a store on a server is made and migrated by the operator of that server.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

_SCHEME = "sqlite:///"


def prepare(url: str) -> None:
    """Make a missing SQLite store and let it commit fast; does nothing for any other URL.

    Args:
        url: An MLflow registry URI.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401 - sets the level of its logger, which the next line is to outlast

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if url.startswith(_SCHEME):
        database = Path(url.removeprefix(_SCHEME))
        _make(database)
        _commit_without_waiting_for_the_disk(database)


def _make(database: Path) -> None:
    """Build the schema next to the database and link it into place.

    MLflow makes its tables by fifty migrations that SQLite does not undo: killed between two of them, it leaves a file
    that no later start can migrate. A link, unlike a rename, never replaces the store that another process made first.
    """
    if database.exists():
        return
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=f".{database.name}-") as scratch:
        made = Path(scratch) / database.name
        SqlAlchemyStore(f"{_SCHEME}{made}").engine.dispose()
        with suppress(FileExistsError):
            os.link(made, database)


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
