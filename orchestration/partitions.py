"""The two partitionings: facts by arrival month, models by collection.

Here: the definitions and registering keys. Not here: deciding which collections need training (`ml.models`).
A dynamic key is never deleted or renamed (Dagster's caches and UI would break): a collection that goes
quiet simply gets no more events.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

# Ethereum's first block was mined in July 2015: nothing can be known before.
FIRST_MONTH = "2015-07-01"

arrival_months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, end_offset=1)
collections = dg.DynamicPartitionsDefinition(name="collections")


def month_key(instant: datetime) -> str:
    """The partition that holds rows that became known at `instant`."""
    return f"{instant:%Y-%m}-01"


def register_collections(instance: dg.DagsterInstance, keys: Iterable[str]) -> list[str]:
    """Add the keys the instance does not know yet, in one call; returns them sorted."""
    known = set(instance.get_dynamic_partitions("collections"))
    new = sorted(set(keys) - known)
    if new:
        instance.add_dynamic_partitions("collections", new)
    return new
