"""One version of a store in PostgreSQL: its look-ups.

Here: statements that read. Not here: which version is current, and connections (`postgres.store`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from serving.store.errors import StoreUnreachableError
from serving.store.files import Pointer
from serving.store.names import Names
from serving.store.postgres.schema import HEAD_BYTES, SCHEMA, head
from serving.store.protocol import CollectionName, TokenQuery, TokenRow
from serving.store.token_filters import filters

GOOD_FOR_S = 30.0
"""Half of `postgres.target.KEPT_S`: seconds for which a version that was current is certainly there."""


class PostgresEdition:
    """One version, for reading in any thread.

    Args:
        ask: Runs a statement with values.
        pointer: What was published about it.
        number: Its number.
        seen_at: When it was last seen to be current (`uptime`).
    """

    def __init__(
        self, ask: Callable[[str, Sequence[Any]], list[Any]], pointer: Pointer, number: int, seen_at: float
    ) -> None:
        self.pointer, self.seen_at = pointer, seen_at
        self._ask, self._number = ask, number
        self._names = Names()

    def resolve(self, identifier: str, kind: str | None = None) -> tuple[CollectionName, ...]:
        """Collections that a name, contract or slug means; names first."""
        sql = (
            f"select c.id, c.name, a.kind from {SCHEMA}.aliases a join {SCHEMA}.collections c on c.id = a.collection "
            "where (a.alias = %s and a.kind <> 'contract' or a.alias = %s and a.kind = 'contract') "
            f"and (%s::text is null or a.kind = %s) and {self._within('a')} and {self._within('c')} order by c.name"
        )
        values = (_encoded(identifier), _encoded(identifier.lower()), kind, kind)
        return self._names.resolve(
            identifier,
            kind,
            lambda: [(number, _decoded(name), matched) for number, name, matched in self._all(sql, values)],
        )

    def collection(self, collection: int) -> bytes | None:
        """The document of a collection."""
        return self._first(
            f"select body from {SCHEMA}.collections where id = %s and {self._within()}", (collection,)
        )

    def collections(
        self, by: str, descending: bool, after: tuple[float, str] | None, limit: int
    ) -> list[tuple[float, str, bytes]]:
        """(value, name, document) of collections after a place in the order."""
        sign, order = ("<", "desc") if descending else (">", "asc")
        where, values = self._within(), []
        if after is not None and by == "value":
            where += f" and (rank_eth, name) {sign} (%s, %s)"
            values = [after[0], _encoded(after[1])]
        elif after is not None:
            where += f" and name {sign} %s"
            values = [_encoded(after[1])]
        ordered = f"rank_eth {order}, name {order}" if by == "value" else f"name {order}"
        rows = self._all(
            f"select rank_eth, name, body from {SCHEMA}.collections where {where} order by {ordered} limit %s",
            (*values, limit),
        )
        return [(rank, _decoded(name), body) for rank, name, body in rows]

    def token(self, collection: int, token: str) -> bytes | None:
        """The answer of one token."""
        return self._token("tokens", collection, token)

    def tokens(self, collection: int, query: TokenQuery) -> list[TokenRow]:
        """Tokens of a collection after a place in the order."""
        sign, order = ("<", "desc") if query.descending else (">", "asc")
        columns = ["rank_eth", head("token"), "token"] if query.by == "value" else [head("token"), "token"]
        where: list[str] = ["collection = %s", self._within()]
        values: list[Any] = [collection]
        if query.after is not None:
            rank, token = query.after[0], _encoded(query.after[1])
            place = [rank, *_key(token)] if query.by == "value" else _key(token)
            where.append(f"({', '.join(columns)}) {sign} ({', '.join(['%s'] * len(place))})")
            values += place
        conditions, wanted = filters(query, "%s")
        ordered = ", ".join(f"{column} {order}" for column in columns)
        rows = self._all(
            f"select collection, token, rank_eth, body from {SCHEMA}.tokens "
            f"where {' and '.join(where + conditions)} order by {ordered} limit %s",
            (*values, *wanted, query.limit),
        )
        return [TokenRow(number, _decoded(token), rank, body) for number, token, rank, body in rows]

    def estimates(self, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Answers of many tokens."""
        tokens = [_encoded(token) for _, token in keys]
        rows = self._all(
            "select k.place, t.body from unnest(%s::bigint[], %s::bytea[], %s::bytea[]) with ordinality "
            f"as k (collection, head, token, place) join {SCHEMA}.tokens as t on t.collection = k.collection "
            f"and {head('t.token')} = k.head and t.token = k.token where {self._within('t')}",
            ([collection for collection, _ in keys], [_key(token)[0] for token in tokens], tokens),
        )
        return {keys[place - 1]: body for place, body in rows}

    def history(
        self, collection: int, token: str, before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Past estimates, newest first."""
        older = "" if before is None else "and (as_of, version) < (%s, %s) "
        rows = self._all(
            f"select as_of, version, body from {SCHEMA}.history where collection = %s and {head('token')} = %s "
            f"and token = %s and {self._within()} {older}order by as_of desc, version desc limit %s",
            (
                collection,
                *_key(_encoded(token)),
                *(() if before is None else (before[0], _encoded(before[1]))),
                limit,
            ),
        )
        return [(as_of, _decoded(version), body) for as_of, version, body in rows]

    def explanation(self, collection: int, token: str) -> bytes | None:
        """The reasons of a token's estimate, if published."""
        return self._token("explanations", collection, token)

    def holdings(self, owner: str, limit: int) -> list[TokenRow]:
        """Tokens of an address, highest value first."""
        address = _encoded(owner)
        rows = self._all(
            f"select collection, token, rank_eth, body from {SCHEMA}.tokens where {head('owner')} = %s "
            f"and owner = %s and {self._within()} order by rank_eth desc, collection, token limit %s",
            (*_key(address), limit),
        )
        return [TokenRow(number, _decoded(token), rank, body) for number, token, rank, body in rows]

    def gains(self, owner: str) -> bytes | None:
        """What an address holds at which cost, and has gained."""
        return self._first(
            f"select body from {SCHEMA}.gains where {head('owner')} = %s and owner = %s and {self._within()}",
            _key(_encoded(owner)),
        )

    def document(self, name: str) -> bytes | None:
        """A document about everything, or about the charts of a collection."""
        return self._first(
            f"select body from {SCHEMA}.documents where {head('name')} = %s and name = %s and {self._within()}",
            _key(_encoded(name)),
        )

    def _within(self, table: str = "") -> str:
        """SQL that leaves the rows of this version."""
        prefix = f"{table}." if table else ""
        return f"{prefix}since <= {self._number:d} and {prefix}until > {self._number:d}"

    def _token(self, table: str, collection: int, token: str) -> bytes | None:
        return self._first(
            f"select body from {SCHEMA}.{table} where collection = %s and {head('token')} = %s and token = %s "
            f"and {self._within()}",
            (collection, *_key(_encoded(token))),
        )

    def _first(self, sql: str, values: Sequence[Any]) -> bytes | None:
        rows = self._all(sql, values)
        return rows[0][0] if rows else None

    def _all(self, sql: str, values: Sequence[Any]) -> list[Any]:
        rows = self._ask(sql, values)
        # Nothing found may mean that the whole store was replaced; rows that are left, that some were removed.
        is_there = rows or self._ask(
            f"select 1 from {SCHEMA}.publications where number = %s and version = %s",
            (self._number, self.pointer.version),
        )
        if not is_there or uptime() - self.seen_at > GOOD_FOR_S:
            raise StoreUnreachableError(
                f"expected version {self.pointer.version} to be kept while it is read, found that another one took its "
                "place; ask again"
            )
        return rows


def uptime() -> float:
    """Seconds that also count while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def _key(name: bytes) -> list[bytes]:
    """The first bytes of a name, by which an index finds it, and the whole."""
    return [name[:HEAD_BYTES], name]
