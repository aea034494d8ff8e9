"""Why a question cannot be answered. Here: the kinds. Not here: HTTP (`serving.api.problems`)."""

from __future__ import annotations

from typing import Any


class ViewError(LookupError):
    """A question cannot be answered as asked; the message says what was expected, what was found and what to do.

    Attributes:
        kind: One word for programs, such as unknown-token.
        extra: More members of the problem document, such as the choices of an ambiguous name.
    """

    kind = "invalid-request"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.extra = extra


class UnknownCollectionError(ViewError):
    """No collection has this name, contract or slug."""

    kind = "unknown-collection"


class AmbiguousCollectionError(ViewError):
    """Several collections are meant; `extra["choices"]` lists them."""

    kind = "ambiguous-collection"


class UnknownTokenError(ViewError):
    """The collection has no such token."""

    kind = "unknown-token"


class UnknownWalletError(ViewError):
    """No token is known to be held by this address."""

    kind = "unknown-wallet"


class NotExplainedError(ViewError):
    """The reasons of this token are not in the store.

    Attributes:
        collection: Name of its collection.
    """

    kind = "not-explained"

    def __init__(self, message: str, collection: str) -> None:
        super().__init__(message)
        self.collection = collection


class ExplanationBehindError(ViewError):
    """Reasons were computed, but of another estimate than the one that is served."""

    kind = "explanation-behind"


class NotPublishedError(ViewError):
    """The store has no such document."""

    kind = "not-published"


class CursorError(ViewError):
    """A cursor that this API did not give, or gave for another question."""

    kind = "invalid-cursor"
