"""Tokens: one estimate, many, their history and reasons, and the tokens of a collection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from serving.store.documents import as_json
from serving.store.protocol import CollectionName, Edition, TokenQuery
from serving.views.answer import answer, array, as_of_text
from serving.views.collections import find_collection, page_answer, shown
from serving.views.cursors import cursor_of, key_of
from serving.views.errors import ExplanationBehindError, NotExplainedError, UnknownTokenError, ViewError


def token_answer(edition: Edition, identifier: str, token: str, by: str | None, now: float) -> bytes:
    """The current estimate of a token, or the reason why there is none."""
    found = find_collection(edition, identifier, by)
    body = edition.token(found.id, token)
    if body is None:
        raise unknown_token(found.name, token)
    return answer(body, edition.pointer, now)


def tokens_answer(
    edition: Edition, identifier: str, by: str | None, query: TokenQuery, cursor: str | None, now: float
) -> bytes:
    """A page of a collection's tokens.

    Args:
        edition: Where from.
        identifier: Name, contract or slug of the collection.
        by: Which of them it is.
        query: Order and filters, without a place.
        cursor: Where the page before ended.
        now: Seconds since 1970.
    """
    found = find_collection(edition, identifier, by)
    question = ("tokens", found.name, repr(replace(query, limit=0, after=None)))
    key = key_of(question, cursor, float, str)
    rows = edition.tokens(found.id, replace(query, after=key, limit=query.limit + 1))
    page = rows[: query.limit]
    following = (
        cursor_of(question, (float(page[-1].rank_eth), page[-1].token)) if len(rows) > query.limit else None
    )
    return page_answer("tokens", array(row.body for row in page), following, edition, now)


def history_answer(
    edition: Edition, identifier: str, token: str, by: str | None, cursor: str | None, limit: int, now: float
) -> bytes:
    """Past estimates of a token, newest first."""
    found = existing_token(edition, identifier, token, by)
    question = ("history", found.name, token)
    rows = edition.history(found.id, token, key_of(question, cursor, int, str), limit + 1)
    page = rows[:limit]
    following = cursor_of(question, (page[-1][0], page[-1][1])) if len(rows) > limit else None
    head = as_json({"collection": found.name, "token_id": token})[:-1]
    body = b'%b,"history":%b,"next_cursor":%b,"as_of":%b}' % (
        head,
        array(row[2] for row in page),
        as_json(following),
        as_json(as_of_text(edition.pointer)),
    )
    return answer(body, edition.pointer, now)


def explanation_answer(edition: Edition, identifier: str, token: str, by: str | None, now: float) -> bytes:
    """Why a token has its price."""
    found = existing_token(edition, identifier, token, by)
    body = edition.explanation(found.id, token)
    if body is None:
        raise NotExplainedError(
            "expected published reasons of this token, found none; "
            "`assay explain COLLECTION TOKEN` on the machine of the home gives them for any",
            found.name,
        )
    return answer(body, edition.pointer, now)


def computed_explanation(edition: Edition, collection: str, token: str, document: bytes, now: float) -> bytes:
    """Reasons that were computed when they were asked for, if they are those of the estimate that is served.

    Args:
        edition: What is served.
        collection: Name of the collection.
        token: Token id, known to exist.
        document: The reasons, from the newest state of the lake.
        now: Seconds since 1970.

    Raises:
        ExplanationBehindError: The lake has another estimate by now.
    """
    found = find_collection(edition, collection, "name")
    served = json.loads(edition.token(found.id, token) or b"{}")
    computed = json.loads(document)
    if computed["stored_estimate_eth"] != served.get("estimate_eth"):
        raise ExplanationBehindError(
            "expected the reasons of the estimate that is served, found those of a newer one that is not published "
            "yet; ask again later"
        )
    return answer(document, edition.pointer, now)


def batch_answer(edition: Edition, asked: Sequence[tuple[str, str]], now: float) -> bytes:
    """Estimates of many tokens, in the order asked.

    What cannot be answered stands in its place as an object with `problem` and `detail`; one bad name does not cost
    the others.
    """
    places: list[tuple[int, str] | ViewError] = []
    names: dict[str, CollectionName | ViewError] = {}
    for identifier, token in asked:
        if identifier not in names:
            try:
                names[identifier] = find_collection(edition, identifier)
            except ViewError as error:
                names[identifier] = error
        found = names[identifier]
        places.append(found if isinstance(found, ViewError) else (found.id, token))
    keys = list(dict.fromkeys(place for place in places if isinstance(place, tuple)))
    bodies = edition.estimates(keys)
    items = []
    for (identifier, token), place in zip(asked, places, strict=True):
        if isinstance(place, ViewError):
            items.append(_problem(identifier, token, place))
        elif place in bodies:
            items.append(bodies[place])
        else:
            items.append(_problem(identifier, token, unknown_token(identifier, token)))
    body = b'{"estimates":%b,"as_of":%b}' % (array(items), as_json(as_of_text(edition.pointer)))
    return answer(body, edition.pointer, now)


def unknown_token(collection: str, token: str) -> UnknownTokenError:
    """The error of a token that its collection does not have."""
    return UnknownTokenError(
        f"expected a token of the collection {shown(collection)}, found {shown(token)}; "
        "the list of its tokens has their ids"
    )


def existing_token(edition: Edition, identifier: str, token: str, by: str | None) -> CollectionName:
    """The collection of a token that exists.

    Raises:
        UnknownCollectionError, AmbiguousCollectionError, UnknownTokenError: There is no such token.
    """
    found = find_collection(edition, identifier, by)
    if edition.token(found.id, token) is None:
        raise unknown_token(found.name, token)
    return found


def _problem(identifier: str, token: str, error: ViewError) -> bytes:
    return as_json(
        {
            "collection": identifier,
            "token_id": token,
            "problem": error.kind,
            "detail": str(error),
            **error.extra,
        }
    )
