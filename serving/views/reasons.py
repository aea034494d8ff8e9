"""Why a token has its price: what was published, or else computed while it is asked for.

Here: which of both. Not here: computing (`serving.explainer`), or the document (`ml.explain`).
"""

from __future__ import annotations

from collections.abc import Callable

from serving.explainer.client import Explainer
from serving.store.protocol import Edition
from serving.views.errors import NotExplainedError
from serving.views.tokens import computed_explanation, existing_token, explanation_answer


async def reasons_answer(
    edition: Edition,
    identifier: str,
    token: str,
    by: str | None,
    now: float,
    explainer: Explainer | None,
    count: Callable[[str, str], None] | None = None,
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

    Raises:
        NotExplainedError: They are not published, and nothing computes them.
        ExplainerError: They cannot be computed now.
        ExplanationBehindError: The lake has another estimate by now.
    """
    if count is not None:
        count(existing_token(edition, identifier, token, by).name, token)
    try:
        return explanation_answer(edition, identifier, token, by, now)
    except NotExplainedError as error:
        if explainer is None:
            raise
        document = await explainer.explain(edition.pointer.version, error.collection, token)
        return computed_explanation(edition, error.collection, token, document, now)
