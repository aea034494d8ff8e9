"""The store in SQLite files: opening the current version, and reading it.

Here: `SqliteStore` (which version is served) and `SqliteEdition` (its look-ups). Not here: writing one (`publication`).

Concept: a file never changes once it is published, so it is opened `immutable` (no locks, no journal) and
memory-mapped. Each thread has a connection of its own. The pointer is looked at for each request (one `stat`). A new
version is checked before it replaces the one in use; one that fails is refused, and the old one is served on.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serving.store.errors import StoreDamagedError, StoreError
from serving.store.files import POINTER, Pointer, check_age, check_file, read_pointer
from serving.store.names import Names
from serving.store.protocol import CollectionName, TokenQuery, TokenRow
from serving.store.token_filters import filters

MAPPED_BYTES = 64 << 30
"""Upper bound of what is memory-mapped: address space, not memory."""

QUERY_STEPS_BETWEEN_CHECKS = 10_000


class SqliteEdition:
    """One version, open for reading in any thread.

    Args:
        path: The file, already checked.
        pointer: What was published about it.
        query_limit_s: Seconds after which a query is interrupted.
    """

    def __init__(self, path: Path, pointer: Pointer, query_limit_s: float = 5.0) -> None:
        self.pointer = pointer
        self._path, self._limit = path, query_limit_s
        self._local = threading.local()
        self._names = Names()
        found = self._first("select value from meta where key = 'version'")
        if found != pointer.version:
            raise StoreDamagedError(
                f"expected version {pointer.version} inside {path.name}, found {found or 'none'}; "
                "publish again with `assay run`"
            )

    def resolve(self, identifier: str, kind: str | None = None) -> tuple[CollectionName, ...]:
        """Collections that a name, contract or slug means; names first."""
        return self._names.resolve(
            identifier,
            kind,
            lambda: self._all(
                "select c.id, c.name, a.kind from aliases a join collections c on c.id = a.collection "
                "where (a.alias = ?1 and a.kind <> 'contract' or a.alias = ?2 and a.kind = 'contract') "
                "and (?3 is null or a.kind = ?3) order by c.name",
                (identifier, identifier.lower(), kind),
            ),
        )

    def collection(self, collection: int) -> bytes | None:
        """The document of a collection."""
        return self._first("select body from collections where id = ?", (collection,))

    def collections(
        self, by: str, descending: bool, after: tuple[float, str] | None, limit: int
    ) -> list[tuple[float, str, bytes]]:
        """(value, name, document) of collections after a place in the order."""
        sign, order = ("<", "desc") if descending else (">", "asc")
        columns = "(rank_eth, name)" if by == "value" else "(name)"
        where, values = "", []
        if after is not None:
            where = f"where {columns} {sign} ({'?, ?' if by == 'value' else '?'})"
            values = [after[0], after[1]] if by == "value" else [after[1]]
        ordered = f"rank_eth {order}, name {order}" if by == "value" else f"name {order}"
        return self._all(
            f"select rank_eth, name, body from collections {where} order by {ordered} limit ?",
            (*values, limit),
        )

    def token(self, collection: int, token: str) -> bytes | None:
        """The answer of one token."""
        return self._first("select body from tokens where collection = ? and token = ?", (collection, token))

    def tokens(self, collection: int, query: TokenQuery) -> list[TokenRow]:
        """Tokens of a collection after a place in the order."""
        sign, order = ("<", "desc") if query.descending else (">", "asc")
        where: list[str] = ["collection = ?"]
        values: list[Any] = [collection]
        by_value = query.by == "value"
        if query.after is not None:
            where.append(f"(rank_eth, token) {sign} (?, ?)" if by_value else f"token {sign} ?")
            values += query.after if by_value else query.after[1:]
        conditions, wanted = filters(query, "?")
        where, values = where + conditions, values + wanted
        ordered = f"rank_eth {order}, token {order}" if by_value else f"token {order}"
        rows = self._all(
            f"select collection, token, rank_eth, body from tokens where {' and '.join(where)} "
            f"order by {ordered} limit ?",
            (*values, query.limit),
        )
        return [TokenRow(*row) for row in rows]

    def estimates(self, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Answers of many tokens. The list is joined to the table: `in (values …)` would scan it."""
        found: dict[tuple[int, str], bytes] = {}
        for start in range(0, len(keys), 400):
            part = keys[start : start + 400]
            rows = self._all(
                f"with k (c, t) as (values {', '.join(['(?, ?)'] * len(part))}) "
                "select e.collection, e.token, e.body from k cross join tokens e "
                "on e.collection = k.c and e.token = k.t",
                [value for key in part for value in key],
            )
            found.update({(c, t): body for c, t, body in rows})
        return found

    def history(
        self, collection: int, token: str, before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Past estimates, newest first."""
        older = "" if before is None else "and (as_of, version) < (?, ?)"
        return self._all(
            f"select as_of, version, body from history where collection = ? and token = ? {older} "
            "order by as_of desc, version desc limit ?",
            (collection, token, *(before or ()), limit),
        )

    def explanation(self, collection: int, token: str) -> bytes | None:
        """The reasons of a token's estimate, if published."""
        return self._first(
            "select body from explanations where collection = ? and token = ?", (collection, token)
        )

    def holdings(self, owner: str, limit: int) -> list[TokenRow]:
        """Tokens of an address, highest value first."""
        rows = self._all(
            "select t.collection, t.token, t.rank_eth, t.body from holdings h cross join tokens t "
            "on t.collection = h.collection and t.token = h.token where h.owner = ? "
            "order by t.rank_eth desc, t.collection, t.token limit ?",
            (owner, limit),
        )
        return [TokenRow(*row) for row in rows]

    def gains(self, owner: str) -> bytes | None:
        """What an address holds at which cost, and has gained."""
        return self._first("select body from gains where owner = ?", (owner,))

    def document(self, name: str) -> bytes | None:
        """A document about everything."""
        return self._first("select body from documents where name = ?", (name,))

    def _cursor(self) -> sqlite3.Cursor:
        """This thread's cursor: each question is answered whole before the next, so one is enough."""
        cursor: sqlite3.Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None:
            con = open_immutable(self._path)
            # A query that runs too long is interrupted, whatever it was asked.
            con.set_progress_handler(self._overdue, QUERY_STEPS_BETWEEN_CHECKS)
            cursor = self._local.cursor = con.cursor()
        self._local.deadline = time.monotonic() + self._limit
        return cursor

    def _overdue(self) -> bool:
        return time.monotonic() > self._local.deadline

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._cursor().execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _first(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row; None without a row."""
        try:
            row = self._cursor().execute(sql, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error
        return None if row is None else row[0]

    def _explained(self, error: sqlite3.DatabaseError) -> StoreError:
        if "interrupted" in str(error):
            return StoreError(
                f"expected an answer within {self._limit:g} s, the query took longer; ask for fewer rows"
            )
        return StoreDamagedError(
            f"expected version {self.pointer.version} to be readable, found: {error}; publish again with `assay run`"
        )


class SqliteStore:
    """The current version of the store in a folder.

    Args:
        folder: `<home>/serving`.
        refuse_after_s: Age in seconds beyond which nothing is served any more.
        clock: Seconds since 1970.
        retry_s: Seconds between looks at a version that was refused: a copy may have been under way.
        look_s: Seconds between looks whether there is another version, and how old it is: one for each request is a
            tenth of its cost.
    """

    is_remote = False

    def __init__(
        self,
        folder: Path,
        refuse_after_s: float = float("inf"),
        clock: Callable[[], float] = time.time,
        retry_s: float = 1.0,
        look_s: float = 0.02,
    ) -> None:
        self._look_s = look_s
        self.folder, self._refuse_after, self._clock, self._retry_s = folder, refuse_after_s, clock, retry_s
        self._pointer_path = folder / POINTER
        self._seen: tuple[int, int, int] | None = None
        self._edition: SqliteEdition | None = None
        self._error: StoreError | None = None
        self._retry_at, self._look_at = 0.0, 0.0
        self._lock = threading.Lock()

    def current(self) -> SqliteEdition:
        """The edition to answer from now.

        Raises:
            StoreError: None can be served.
        """
        if time.monotonic() >= self._look_at:
            seen = self._look()
            if self._is_due(seen):
                with self._lock:
                    if self._is_due(seen):
                        self._reopen(seen)
            if self._edition is not None:
                check_age(self._edition.pointer, self._clock(), self._refuse_after)
            self._look_at = time.monotonic() + self._look_s
        edition = self._edition
        if edition is None:
            error = self._error or StoreError("expected a store, found none; `assay run` publishes one")
            # The same error is raised for many requests: it must not collect the traceback of each.
            raise error.with_traceback(None)
        return edition

    def refusal(self) -> str | None:
        """Why the version that the pointer names is not served, if that is so."""
        return None if self._error is None else str(self._error)

    def close(self) -> None:
        """Let go of the file; connections of threads end with them."""
        self._edition = None

    def _is_due(self, seen: tuple[int, int, int] | None) -> bool:
        if self._error is not None or seen is None:
            return time.monotonic() >= self._retry_at
        return seen != self._seen

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._pointer_path)  # noqa: PTH116 - a tenth of the cost of Path.stat, for each request
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _reopen(self, seen: tuple[int, int, int] | None) -> None:
        try:
            pointer = read_pointer(self.folder)
            if self._edition is not None and pointer.version == self._edition.pointer.version:
                self._edition.pointer = pointer  # confirmed again, the same file
            else:
                self._edition = SqliteEdition(check_file(self.folder, pointer), pointer)
            self._error = None
        except StoreError as error:
            self._error, self._retry_at = error, time.monotonic() + self._retry_s
        self._seen = seen


def open_immutable(path: Path) -> sqlite3.Connection:
    """A connection to a file that never changes: no locks, no journal, memory-mapped."""
    con = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&immutable=1",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
    )
    con.execute(f"pragma mmap_size = {MAPPED_BYTES}")
    con.execute("pragma query_only = true")
    return con
