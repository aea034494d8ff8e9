"""Which collections a name, contract or slug means, remembered for one edition.

Here: what both kinds of store do with the rows that they find. Not here: finding them (`sqlite.store`,
`postgres.edition`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from serving.store.protocol import CollectionName

REMEMBERED_NAMES = 4096
REMEMBERED_CHARACTERS = 256


class Names:
    """The identifiers that were asked for. An edition never changes, so no answer becomes wrong."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], tuple[CollectionName, ...]] = {}

    def resolve(
        self, identifier: str, kind: str | None, rows: Callable[[], Iterable[tuple[int, str, str]]]
    ) -> tuple[CollectionName, ...]:
        """Collections by name.

        Args:
            identifier: A name, contract or slug.
            kind: Which of these it must be; None: any.
            rows: Reads (number, name, kind that matched) from the store, ordered by name.
        """
        key = (identifier, kind)
        if key in self._found:
            return self._found[key]
        kinds: dict[tuple[int, str], list[str]] = {}
        for number, name, matched in rows():
            kinds.setdefault((number, name), []).append(matched)
        found = tuple(CollectionName(*who, tuple(sorted(matched))) for who, matched in kinds.items())
        if found and len(self._found) < REMEMBERED_NAMES and len(identifier) < REMEMBERED_CHARACTERS:
            self._found[key] = found
        return found
