"""Traits of rows as arrays, by the name of their type.

Here: reading the names of a collection's trait types, and turning lists of trait values into a matrix of codes. Not
here: what a model does with them (`ml.models.local`).

Concept: `marts.dim_tokens` keeps a token's traits as a list, one value per type of its collection. Types come and go
(a reveal, a correction), so a position in the list means something only together with the names of that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ABSENT = "(absent)"
"""Stands for a missing trait value: CatBoost refuses a null category, and absence is information."""


class RaggedTraitsError(ValueError):
    """A token has another number of trait values than its collection has types."""


@dataclass(frozen=True)
class Traits:
    """Traits of n rows of one collection.

    Attributes:
        types: Names of the trait types.
        codes: Shape (n, types): positions in `vocabulary`.
        vocabulary: Trait values as text, shared by all types; position 0 is `ABSENT`.
    """

    types: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    vocabulary: npt.NDArray[np.object_]

    def rows(self, chosen: slice | npt.NDArray[np.int64]) -> Traits:
        """The same for a part of the rows."""
        return Traits(self.types, self.codes[chosen], self.vocabulary)

    def column(self, name: str) -> npt.NDArray[np.int32]:
        """Codes of one type, shape (n,); all absent when there is no such type."""
        if name in self.types:
            return self.codes[:, self.types.index(name)]
        return np.zeros(len(self.codes), np.int32)


@dataclass(frozen=True)
class TraitLists:
    """Lists of trait values of rows of many collections, encoded once.

    Attributes:
        types: Collection to the names of its types.
        codes: Codes of all rows, one after the other.
        offsets: Where each row's codes begin and the last one ends, shape (n + 1,).
        vocabulary: The trait value of each code; position 0 is `ABSENT`.
    """

    types: Mapping[str, tuple[str, ...]]
    codes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    vocabulary: npt.NDArray[np.object_]

    @classmethod
    def of(cls, lists: pa.ChunkedArray | pa.Array, types: Mapping[str, tuple[str, ...]]) -> TraitLists:
        """From a column of lists; null and empty lists are rows whose traits are not known."""
        array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], lists.type)
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        values = pc.fill_null(array.flatten(), ABSENT).cast(pa.string())
        encoded = pa.concat_arrays([pa.array([ABSENT], pa.string()), values]).dictionary_encode()
        vocabulary = np.array(encoded.dictionary.to_pylist(), dtype=object)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return cls(types, encoded.indices.to_numpy().astype(np.int32)[1:], offsets, vocabulary)

    def slice(self, start: int, stop: int) -> TraitLists:
        """The same for the rows [start, stop)."""
        own = self.offsets[start : stop + 1]
        return TraitLists(self.types, self.codes[own[0] : own[-1]], own - own[0], self.vocabulary)

    def of_collection(self, collection: str, rows: npt.NDArray[np.int64] | None = None) -> Traits:
        """The traits of rows that all belong to one collection, by the names of its types.

        Args:
            collection: Whose rows.
            rows: Row numbers; all rows when None.

        Raises:
            RaggedTraitsError: When a row has another number of values than the collection has types.
        """
        chosen = np.arange(len(self.offsets) - 1) if rows is None else rows
        types = self.types.get(collection, ())
        starts, ends = self.offsets[chosen], self.offsets[chosen + 1]
        known = ends > starts
        wrong = known & (ends - starts != len(types))
        if wrong.any():
            raise RaggedTraitsError(
                f"expected {len(types)} trait values for every token of {collection}, found "
                f"{int((ends - starts)[wrong][0])}; rebuild marts.dim_tokens"
            )
        codes = np.zeros((len(chosen), len(types)), np.int32)
        if len(types):
            codes[known] = self.codes[starts[known][:, None] + np.arange(len(types))]
        return Traits(types, codes, self.vocabulary)


def read_trait_types(
    con: duckdb.DuckDBPyConnection, collections: Iterable[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Names of the trait types of each collection, in the order of the lists in `marts.dim_tokens`.

    Args:
        con: Connection with marts.dim_trait_values.
        collections: Only these; all when None.

    Returns:
        Collection to its types; two types of one name are distinguished by a number. Collections without traits are
        missing.
    """
    chosen = "" if collections is None else "where collection in (select unnest($1))"
    rows = con.execute(
        f"""
        select collection, list(trait_type order by type_code) from (
            select distinct collection, type_code, trait_type from marts.dim_trait_values {chosen}
        ) group by collection
        """,
        [] if collections is None else [list(collections)],
    ).fetchall()
    return {collection: _distinct_names(types) for collection, types in rows}


def _distinct_names(types: list[str]) -> tuple[str, ...]:
    """The names, each once: a second `Hat` is `Hat (2)`."""
    taken: set[str] = set()
    names = []
    for name in types:
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name} ({number})"
        taken.add(unique)
        names.append(unique)
    return tuple(names)
