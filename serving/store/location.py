"""Where a store is: a folder of SQLite files, or a PostgreSQL database by its URL.

Here: the choice. Not here: either of them (`sqlite.store`, `sqlite.target`, `postgres.store`, `postgres.target`).
PostgreSQL's client is an extra, and imported only for a URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from serving.store.errors import StoreAddressError
from serving.store.protocol import Store
from serving.store.sqlite.store import SqliteStore
from serving.store.sqlite.target import file_target
from serving.store.target import Target


def open_store(
    location: Path | str, refuse_after_s: float = float("inf"), clock: Callable[[], float] = time.time
) -> Store:
    """The store at a folder or URL, for reading. Nothing has to be there yet.

    Args:
        location: A folder, or postgresql://….
        refuse_after_s: Age in seconds beyond which nothing is served any more.
        clock: Seconds since 1970.

    Raises:
        StoreAddressError: The URL cannot be read, or PostgreSQL's client is not installed.
    """
    if isinstance(location, Path):
        return SqliteStore(location, refuse_after_s, clock)
    _require_client()
    from serving.store.postgres.store import PostgresStore

    return PostgresStore(location, refuse_after_s, clock)


def open_target(location: Path | str, timeout_s: float) -> AbstractContextManager[Target]:
    """The store at a folder or URL, for publishing, while no other process publishes to it.

    Raises:
        PublicationBusyError: Another process is publishing for more than `timeout_s` seconds.
        StoreAddressError: The URL cannot be read, or PostgreSQL's client is not installed.
        StoreUnreachableError: The database cannot be asked.
    """
    if isinstance(location, Path):
        return file_target(location, timeout_s)
    _require_client()
    from serving.store.postgres.target import postgres_target

    return postgres_target(location, timeout_s)


def _require_client() -> None:
    try:
        import psycopg  # noqa: F401
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        raise StoreAddressError(
            f"expected the package {error.name} for a store in PostgreSQL, found it missing; "
            "`pip install 'assay[postgres]'` installs it"
        ) from None
