"""The store in PostgreSQL: which version is served, and reading it.

Here: connections, and looking for a new version. Not here: look-ups (`postgres.edition`), writing (`postgres.target`).

Concept: a thread asks once a second which version is current, so a request asks only for its rows, and each statement
asks for those of one version. A version is kept for a minute after another one took its place; an answer that comes
too long after the version was last seen to be current is refused, as its rows may be gone (`postgres.edition`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from serving.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreUnreachableError,
)
from serving.store.files import check_age
from serving.store.postgres.connection import as_store_error, connect, connection_parameters, log_detail
from serving.store.postgres.edition import PostgresEdition, uptime
from serving.store.postgres.schema import SCHEMA, SCHEMA_PREFIX
from serving.store.postgres.target import POINTER_COLUMNS, pointer_of
from serving.store.schema import FORMAT

POLL_S = 1.0
"""Seconds between looks at the list of versions; also between attempts while the database cannot be asked."""

CONNECTIONS = 8
"""Of one process of the API, besides the one that looks at versions."""

WAIT_S = 2.0
"""Seconds to wait for a connection."""

QUERY_LIMIT_S = 5.0

logging.getLogger("psycopg.pool").setLevel(
    logging.ERROR
)  # each failed attempt would be a line; ours says it once


class PostgresStore:
    """The current version of the store in a database.

    Args:
        url: postgresql://….
        refuse_after_s: Age in seconds beyond which nothing is served any more.
        clock: Seconds since 1970.

    Raises:
        StoreAddressError: The URL cannot be read.
    """

    is_remote = True

    def __init__(
        self, url: str, refuse_after_s: float = float("inf"), clock: Callable[[], float] = time.time
    ) -> None:
        self._parameters = connection_parameters(url, application_name="assay api")
        self._refuse_after, self._clock = refuse_after_s, clock
        self._edition: PostgresEdition | None = None
        self._error: StoreError | None = None
        self._watch: psycopg.Connection[Any] | None = None
        self._pool: ConnectionPool[Any] | None = None
        self._lock, self._starting, self._ended = threading.Lock(), threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> PostgresEdition:
        """The edition to answer from now.

        Raises:
            StoreError: None can be served.
        """
        if self._thread is None:
            self._start()
        error, edition = self._error, self._edition
        if error is not None or edition is None:
            # The same error is raised for many requests: it must not collect the traceback of each.
            raise (error or StoreUnreachableError("expected a store, found it closed")).with_traceback(None)
        check_age(edition.pointer, self._clock(), self._refuse_after)
        return edition

    def refusal(self) -> str | None:
        """Why the newest version is not served, if that is so."""
        return None if self._error is None else str(self._error)

    def refresh(self) -> None:
        """Look at the list of versions now."""
        with self._lock:
            began = uptime()
            try:
                self._look(began)
                self._error = None
            except psycopg.Error as error:
                self._fail(self._explained(error))
            except StoreError as error:
                self._fail(error)

    def close(self) -> None:
        """Close the connections; the store cannot be read any more."""
        self._ended.set()
        with self._lock:
            self._fail(StoreUnreachableError("expected an open store, found it closed"))

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self.refresh()
                thread = threading.Thread(target=self._keep_looking, name="assay-store", daemon=True)
                thread.start()
                self._thread = thread

    def _keep_looking(self) -> None:
        while not self._ended.wait(POLL_S):
            self.refresh()

    def _look(self, began: float) -> None:
        if self._watch is None:
            self._watch = connect(self._parameters, autocommit=True)
            _prepare(self._watch)
        row = self._watch.execute(
            f"select {', '.join(POINTER_COLUMNS)}, number, collections from {SCHEMA}.publications "
            "order by number desc limit 1"
        ).fetchone()
        if row is None:
            raise StoreDamagedError(
                "expected a version in the list of publications, found none; publish again with `assay run`"
            )
        pointer, (number, collections) = pointer_of(row), row[len(POINTER_COLUMNS) :]
        if self._pool is None:
            self._pool = ConnectionPool(
                kwargs={**self._parameters, "autocommit": True},
                min_size=1,
                max_size=CONNECTIONS,
                timeout=WAIT_S,
                configure=_prepare,
                open=True,
            )
        edition = self._edition
        if edition is None or edition.pointer.version != pointer.version:
            edition = PostgresEdition(self._ask, pointer, number, began)
            found = self._watch.execute(
                f"select count(*) from {SCHEMA}.collections where since <= {number:d} and until > {number:d}"
            ).fetchone()
            if found is None or found[0] != collections:
                raise StoreDamagedError(
                    f"expected {collections:,} collections in version {pointer.version}, found "
                    f"{found[0] if found else 0:,}; publish again with `assay run`"
                )
        edition.pointer, edition.seen_at = pointer, began
        self._edition = edition

    def _explained(self, error: psycopg.Error) -> StoreError:
        """What an error means; tables that are not there may be there in another format."""
        if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName) and self._watch is not None:
            try:
                found = self._watch.execute(
                    "select nspname::text from pg_namespace where starts_with(nspname::text, %s) order by 1 desc",
                    (SCHEMA_PREFIX,),
                ).fetchall()
            except psycopg.Error as another:
                return as_store_error(another, self._parameters)
            formats = [name.removeprefix(SCHEMA_PREFIX) for (name,) in found if name != SCHEMA]
            if formats:
                return StoreFormatError(
                    f"expected a store of format {FORMAT}, found {formats[0]}; publish again with this version: "
                    "`assay run`"
                )
        return as_store_error(error, self._parameters)

    def _fail(self, error: StoreError) -> None:
        """Answer nothing until the next look; connections are made anew then."""
        if str(error) != str(self._error):
            log_detail(error)
        self._error, self._edition = error, None
        watch, pool = self._watch, self._pool
        self._watch = self._pool = None
        if watch is not None:
            watch.close()
        if pool is not None:
            pool.close(timeout=0)

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Run one statement; once more on another connection when the first was lost: the server may have restarted."""
        pool = self._pool
        for is_last in (False, True):
            if pool is None:
                break
            try:
                with pool.connection() as con:
                    return con.execute(sql, values, binary=True).fetchall()
            except (errors.QueryCanceled, PoolTimeout) as error:
                raise as_store_error(error, self._parameters) from None
            except psycopg.OperationalError as error:
                if is_last or pool.closed:
                    raise as_store_error(error, self._parameters) from None
                pool.check()
            except psycopg.Error as error:
                raise as_store_error(error, self._parameters) from None
        raise self._error or StoreUnreachableError(
            "expected a connection to the published store, found none; ask again"
        )


def _prepare(con: psycopg.Connection[Any]) -> None:
    con.execute(
        f"set default_transaction_read_only = on; set statement_timeout = {round(QUERY_LIMIT_S * 1000)}"
    )
