"""Rows by what they say of their collection: each combination once.

Here: finding the combinations of a table. Not here: what collection each belongs to (`sources.files.identity`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.distinct import whole


@dataclass(frozen=True)
class Combinations:
    """The combinations of a table.

    Attributes:
        table: chain, given, contract, label, project, first (known), n (rows) and code, in order of code.
        codes: Code of each row.
    """

    table: pa.Table
    codes: pa.Array


def combinations(rows: pa.Table, projects: pa.Array) -> Combinations:
    """The combinations of chain, whether it was given, contract, label and project.

    Args:
        rows: Typed rows with `_label`, `_chain_given` and known_at.
        projects: Project of each row in a shared contract.
    """
    states = {
        "chain": rows.column("chain"),
        "given": rows.column("_chain_given"),
        "contract": rows.column("contract"),
        "label": rows.column("_label"),
        "project": pa.chunked_array([projects]),
    }
    codes = np.zeros(rows.num_rows, np.int64)
    for column in states.values():
        indices = _codes(column)
        # Coded anew after each column, so that codes never exceed the number of rows.
        codes = codes * (int(indices.max(initial=0)) + 1) + indices
        codes = pc.dictionary_encode(pa.array(codes)).indices.to_numpy().astype(np.int64)
    size = int(codes.max(initial=-1)) + 1
    places = np.zeros(size, np.int64)
    places[codes[::-1]] = np.arange(rows.num_rows)[::-1]
    earliest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(earliest, codes, rows.column("known_at").to_numpy().astype("int64"))
    columns = {name: whole(column.take(pa.array(places))) for name, column in states.items()}
    columns = {n: c.cast(pa.string()) if n != "given" else c for n, c in columns.items()}
    columns |= {
        "first": pa.array(earliest).cast(pa.timestamp("us")),
        "n": pa.array(np.bincount(codes, minlength=size)),
        "code": pa.array(np.arange(size)),
    }
    return Combinations(pa.table(columns), pa.array(codes))


def _codes(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A number for each value, 0 for null."""
    array = whole(column)
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    return np.asarray(pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False), np.int64) + 1
