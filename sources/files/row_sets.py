"""Rows of a raw table on their way through a folder: numbered by file, packed, in known order.

Here: small operations on Arrow tables. Not here: what the rows mean (`sources.files.loading`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sources.contract import raw_table
from sources.files.candidates import KEPT

_REPEATED = ("chain", "collection", "contract", "currency", "marketplace", "trait_type", "source", "_label")
_KINDS = {
    "_usd": pa.float64(),
    "_row": pa.int64(),
    "_label": pa.string(),
    "_rate_chain": pa.string(),
    "_rate_contract": pa.string(),
}


def nothing(table: str) -> pa.Table:
    """No rows of a raw table, in the shape that the rows of its files have."""
    beside = [pa.field(n, _KINDS.get(n, pa.bool_())) for n in KEPT[table]]
    return packed(pa.schema([*raw_table(table).schema, *beside, pa.field("_file", pa.int32())]).empty_table())


def numbered(rows: pa.Table, number: int) -> pa.Table:
    """The rows with the number of their file in `_file`."""
    return rows.append_column("_file", pa.array(np.full(rows.num_rows, number, np.int32)))


def in_known_order(rows: pa.Table) -> pa.Table:
    """Rows by known_at, then by event_time where there is one, then as they came."""
    rows = rows.unify_dictionaries().combine_chunks()
    keys = [np.arange(rows.num_rows), rows.column("known_at").to_numpy().astype("int64")]
    if "event_time" in rows.column_names:
        keys.insert(1, rows.column("event_time").to_numpy().astype("int64"))
    order = np.lexsort(keys)
    return rows if bool((order[1:] > order[:-1]).all()) else rows.take(pa.array(order))


def packed(rows: pa.Table) -> pa.Table:
    """The same rows, text that repeats stored once: they wait in memory until they are asked for."""
    for name in _REPEATED:
        if name in rows.column_names:
            where = rows.schema.get_field_index(name)
            rows = rows.set_column(where, name, rows.column(name).dictionary_encode())
    return rows.replace_schema_metadata(None)


def plain(rows: pa.Table, table: str) -> pa.Table:
    """Rows of a `LoadedTable` in the contract's schema."""
    return rows.cast(raw_table(table).schema)
