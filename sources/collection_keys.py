"""Which collections of several sources are the same one, and what it is called in a home.

Here: the rule, on the keys that the sources use. Not here: how one source finds the collection of a row
(`sources.files.identity`), or where the keys are kept (`orchestration.ingestion.collection_keys`).

A collection is a contract on a chain, or a project of a shared contract. A source that does not know the contract means
the collection that has its name; if several have it, it gets a key of its own, because two collections that are kept
apart do less harm than two that are mixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CollectionKey:
    """One collection of one source.

    Attributes:
        delivered_by: The source's name.
        chain: Chain.
        given: The source's key for it, unique in that source.
        contract: Contract; None: the source does not say.
        project: What distinguishes collections of a shared contract; None for others.
        collection: Its key in the home; None: not decided yet.
    """

    delivered_by: str
    chain: str
    given: str
    contract: str | None = None
    project: str | None = None
    collection: str | None = None


def decide(keys: Sequence[CollectionKey]) -> list[CollectionKey]:
    """The same keys, each with its collection in the home.

    A collection keeps the key that was decided first. It changes only when two keys turn out to mean one collection.

    Args:
        keys: All keys of a home in the order in which they were seen.
    """
    names: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    held: dict[str | None, tuple[str, ...]] = {}
    for key in keys:
        if key.contract is not None:
            names.setdefault((key.chain, key.given), set()).add(_asset(key))
            held.setdefault(key.collection, _asset(key))
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, key in enumerate(keys):
        bearers = names.get((key.chain, key.given), set())
        # What was decided stays when another contract takes the same name later.
        before = held.get(key.collection) if key.collection is not None else None
        groups.setdefault(_meant(key, {before} if before in bearers else bearers), []).append(position)
    result = list(keys)
    taken: set[str] = set()
    undecided = []
    for members in groups.values():
        decided = [c for m in members if (c := keys[m].collection) is not None and c not in taken]
        if not decided:
            undecided.append(members)
            continue
        taken.add(decided[0])
        _assign(result, members, decided[0])
    for members in undecided:
        name = next(wish for wish in _wishes(keys[members[0]]) if wish not in taken)
        taken.add(name)
        _assign(result, members, name)
    return result


def _asset(key: CollectionKey) -> tuple[str, ...]:
    return ("contract", key.chain, key.contract or "", key.project or "")


def _meant(key: CollectionKey, bearers: set[tuple[str, ...]]) -> tuple[str, ...]:
    """What a key stands for; equal for keys of one collection."""
    if key.contract is not None:
        return _asset(key)
    if len(bearers) == 1:
        return next(iter(bearers))
    if bearers:
        return ("unclear", key.chain, key.given, key.delivered_by)
    return ("name", key.chain, key.given)


def _wishes(key: CollectionKey) -> Iterable[str]:
    """Keys that a new collection could have, the best first; the last ones are never taken."""
    yield key.given
    parts = [part for part in (key.contract, key.project) if part is not None] or [key.delivered_by]
    yield "-".join((key.given, *parts))
    yield "-".join((key.given, key.chain, *parts))
    number = 2
    while True:
        yield "-".join((key.given, key.chain, *parts, str(number)))
        number += 1


def _assign(keys: list[CollectionKey], members: Iterable[int], name: str) -> None:
    for member in members:
        keys[member] = replace(keys[member], collection=name)
