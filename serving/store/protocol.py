"""What the views ask of a store, whatever keeps it.

Here: the protocol and the rows it gives. Not here: SQLite for one machine (`sqlite.store`), PostgreSQL for several
(`postgres.store`), or which of them (`location`).

Concept: a request takes one `Edition`, a version of the store that never changes, and answers from it alone. So no
answer mixes two versions, whatever is published meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.store.files import Pointer


@dataclass(frozen=True)
class CollectionName:
    """A collection as somebody may name it.

    Attributes:
        id: Number within the edition.
        name: Its globally unique name.
        kinds: Which of name, contract and slug the identifier matched.
    """

    id: int
    name: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class TokenRow:
    """One token's published answer.

    Attributes:
        collection: Number of its collection.
        token: Token id.
        rank_eth: Estimate in ETH, or -1 without one.
        body: The answer as a JSON object.
    """

    collection: int
    token: str
    rank_eth: float
    body: bytes


@dataclass(frozen=True)
class TokenQuery:
    """Which tokens of a collection, and in which order.

    Attributes:
        by: "token" (id, as text) or "value" (estimate).
        descending: Whether the last come first.
        after: Where the page before ended: (rank_eth, token); None for the first page.
        limit: Rows wanted.
        grades: Grades wanted; all when empty.
        tiers: Tiers wanted; all when empty.
        low_eth: Least estimate, ETH.
        high_eth: Greatest estimate, ETH.
        valued: Only tokens with a value (True) or without one (False).
    """

    by: str = "token"
    descending: bool = False
    after: tuple[float, str] | None = None
    limit: int = 100
    grades: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    low_eth: float | None = None
    high_eth: float | None = None
    valued: bool | None = None


class Edition(Protocol):
    """One version of the store."""

    pointer: Pointer

    def resolve(self, identifier: str, kind: str | None = None) -> tuple[CollectionName, ...]:
        """Collections that a name, contract or slug means; `kind` narrows it to one of them."""
        ...

    def collection(self, collection: int) -> bytes | None:
        """The document of a collection."""
        ...

    def collections(
        self, by: str, descending: bool, after: tuple[float, str] | None, limit: int
    ) -> list[tuple[float, str, bytes]]:
        """(value in ETH, name, document) of collections in order of "name" or "value"."""
        ...

    def token(self, collection: int, token: str) -> bytes | None:
        """The answer of one token."""
        ...

    def tokens(self, collection: int, query: TokenQuery) -> list[TokenRow]:
        """Tokens of a collection."""
        ...

    def estimates(self, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Answers of many tokens; those that are not there are left out."""
        ...

    def history(
        self, collection: int, token: str, before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """(as-of, version, document) of past estimates, newest first."""
        ...

    def explanation(self, collection: int, token: str) -> bytes | None:
        """The reasons of a token's estimate, if published."""
        ...

    def holdings(self, owner: str, limit: int) -> list[TokenRow]:
        """Tokens of an address in lower case, by value, highest first."""
        ...

    def gains(self, owner: str) -> bytes | None:
        """What an address in lower case holds at which cost, and has gained (`gains_reader`)."""
        ...

    def document(self, name: str) -> bytes | None:
        """A document about everything: accuracy, status, risk."""
        ...


class Store(Protocol):
    """Where editions come from.

    Attributes:
        is_remote: Whether a look-up waits for another machine, so that it must not hold up other requests.
    """

    is_remote: bool

    def current(self) -> Edition:
        """The edition to answer from now.

        Raises:
            StoreError: None can be served; the message says why and what to do.
        """
        ...

    def refusal(self) -> str | None:
        """Why a newer version than the current one is not served, if there is one."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the store cannot be read any more."""
        ...
