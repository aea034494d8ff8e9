"""What an explanation refuses. Light to import: the command line catches it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

SUGGESTIONS = 5


class ExplainError(LookupError):
    """An explanation was asked for that cannot be given."""


class UnknownNameError(ExplainError):
    """No such collection or token; the message names close ones."""

    def __init__(self, what: str, name: str, known: Sequence[str], where: str) -> None:
        """State what was asked for and which names are similar.

        Args:
            what: "collection" or "token".
            name: As given.
            known: All names there are.
            where: Where it was searched.
        """
        close = close_names(name, known)
        hint = f"; did you mean {', '.join(close)}?" if close else f"; found {len(known):,} others"
        super().__init__(f"no {what} {name!r} in {where}{hint}")


class PriorForgottenError(ExplainError):
    """Estimates name a pooled model that the lake does not know any more."""


def close_names(name: str, known: Sequence[str]) -> list[str]:
    """Up to five known names like this one: those that contain it first, then those spelt like it."""
    folded = name.casefold()
    inside = sorted((k for k in known if folded and folded in k.casefold()), key=lambda k: (len(k), k))
    by_folded = {k.casefold(): k for k in known}
    alike = [by_folded[k] for k in difflib.get_close_matches(folded, list(by_folded), SUGGESTIONS, 0.6)]
    return list(dict.fromkeys([*alike[:2], *inside, *alike]))[:SUGGESTIONS]
