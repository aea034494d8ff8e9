"""The two partitionings: facts by arrival month, models by collection.

Here: the definitions, keys and registering them. Not here: deciding which collections need training (`ml.models`).
A dynamic key is never deleted or renamed (Dagster's caches and UI would break): a collection without
new sales gets no more events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import dagster as dg

# Ethereum's first block was mined in July 2015: nothing can be known before.
FIRST_MONTH = "2015-07-01"

_REFUSED = re.compile(r"[\x00-\x1f\x7f]|\.\.\.")
_ENCODED = re.compile(r"%[0-9A-F]{2}")
_TO_ENCODE = re.compile(r"[\x00-\x1f\x7f%]|\.{3,}")

arrival_months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, end_offset=1)
collections = dg.DynamicPartitionsDefinition(name="collections")


def month_key(known_at: datetime) -> str:
    """The partition that holds rows that became known at that time."""
    return f"{known_at:%Y-%m}-01"


def collection_key(collection: str) -> str:
    """The partition of a collection: its name, with what Dagster refuses in a key percent-encoded.

    That is control characters and three dots. A name that already reads like an encoded one is encoded too, so that
    every key belongs to one name.
    """
    if not (_REFUSED.search(collection) or _ENCODED.search(collection)):
        return collection
    return _TO_ENCODE.sub(lambda found: "".join(f"%{ord(c):02X}" for c in found[0]), collection)


def collection_of(key: str) -> str:
    """The collection of a partition."""
    return _ENCODED.sub(lambda found: chr(int(found[0][1:], 16)), key)


def register_collections(instance: dg.DagsterInstance, names: Iterable[str]) -> list[str]:
    """Add the partitions of collections that the instance does not have yet, in one call; returns their keys sorted."""
    known = set(instance.get_dynamic_partitions("collections"))
    new = sorted(set(map(collection_key, names)) - known)
    if new:
        instance.add_dynamic_partitions("collections", new)
    return new
