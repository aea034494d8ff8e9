"""Collections: which one is meant, its document, and the list of them."""

from __future__ import annotations

import json
from typing import Any

from serving.store.documents import as_json
from serving.store.protocol import CollectionName, Edition
from serving.views.answer import answer, array, as_of_text
from serving.views.cursors import cursor_of, key_of
from serving.views.errors import AmbiguousCollectionError, UnknownCollectionError

KINDS = ("name", "contract", "slug")
MAX_CHOICES = 20
SHOWN_CHARACTERS = 100


def find_collection(edition: Edition, identifier: str, by: str | None = None) -> CollectionName:
    """The one collection that a name, contract or slug means.

    A collection may be named like another's contract or slug. Nobody is served the wrong one for that: then all of
    them are choices, and `by` says which is meant.

    Raises:
        UnknownCollectionError: There is none.
        AmbiguousCollectionError: There are several.
    """
    found = edition.resolve(identifier, by)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownCollectionError(
            f"expected the name, contract or slug of a collection{f' (its {by})' if by else ''}, found "
            f"{shown(identifier)}; the list of collections has their names"
        )
    choices = [{"collection": choice.name, "matched": list(choice.kinds)} for choice in found[:MAX_CHOICES]]
    raise AmbiguousCollectionError(
        f"expected one collection, found {len(found)} that {shown(identifier)} may mean; ask by the name of one of the "
        "choices, with by=name",
        choices=choices,
    )


def collection_answer(edition: Edition, identifier: str, by: str | None, now: float) -> bytes:
    """One collection."""
    found = find_collection(edition, identifier, by)
    body = edition.collection(found.id)
    assert body is not None, "resolve only names collections of the same edition"
    return answer(body, edition.pointer, now)


def collections_answer(edition: Edition, sort: str, cursor: str | None, limit: int, now: float) -> bytes:
    """A page of collections.

    Args:
        edition: Where from.
        sort: name, -name, value or -value (highest first).
        cursor: Where the page before ended.
        limit: Collections wanted.
        now: Seconds since 1970.
    """
    question: tuple[Any, ...] = ("collections", sort)
    key = key_of(question, cursor, float, str)
    rows = edition.collections(sort.lstrip("-"), sort.startswith("-"), key, limit + 1)
    page = rows[:limit]
    following = cursor_of(question, (float(page[-1][0]), page[-1][1])) if len(rows) > limit else None
    return page_answer("collections", array(row[2] for row in page), following, edition, now)


def page_answer(name: str, items: bytes, following: str | None, edition: Edition, now: float) -> bytes:
    """A page: its items under their name, the next cursor and as-of."""
    return answer(
        b'{"%b":%b,"next_cursor":%b,"as_of":%b}'
        % (name.encode(), items, as_json(following), as_json(as_of_text(edition.pointer))),
        edition.pointer,
        now,
    )


def shown(text: str) -> str:
    """Text of a request as a message repeats it: quoted, cut."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return json.dumps(cut, ensure_ascii=True)
