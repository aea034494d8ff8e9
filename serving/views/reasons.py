"""Why a token has its price: what was published, or else computed while it is asked for.

Here: which of both. Not here: computing (`serving.explainer`), or the document (`ml.explain`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from serving.explainer.client import Explainer
from serving.store.protocol import Edition
from serving.views.errors import NotExplainedError
from serving.views.tokens import computed_explanation, existing_token, explanation_answer

LookUp = Callable[..., Awaitable[Any]]
"""Calls a view with its arguments, here or in a thread."""


async def _here(view: Callable[..., Any], *args: Any) -> Any:
    return view(*args)


async def reasons_answer(
    edition: Edition,
    identifier: str,
    token: str,
    by: str | None,
    now: float,
    explainer: Explainer | None,
    count: Callable[[str, str], None] | None = None,
    look_up: LookUp = _here,
) -> bytes:
    """The reasons of a token's estimate.

    Args:
        edition: Where from.
        identifier: Name, contract or slug of the collection.
        token: Token id.
        by: What the identifier is.
        now: Seconds since 1970.
        explainer: Computes what is not published; None: nothing does.
        count: Notes that the reasons of this token (collection, token id) were asked for.
        look_up: How the store is read: in a thread when another machine has it.

    Raises:
        NotExplainedError: They are not published, and nothing computes them.
        ExplainerError: They cannot be computed now.
        ExplanationBehindError: The lake has another estimate by now.
    """
    if count is not None:
        count((await look_up(existing_token, edition, identifier, token, by)).name, token)
    try:
        body: bytes = await look_up(explanation_answer, edition, identifier, token, by, now)
    except NotExplainedError as error:
        if explainer is None:
            raise
        document = await explainer.explain(edition.pointer.version, error.collection, token)
        body = await look_up(computed_explanation, edition, error.collection, token, document, now)
    return body
