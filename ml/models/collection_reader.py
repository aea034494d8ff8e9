"""Sales of many collections as per-collection arrays, read in a few large Arrow reads.

Here: the reading and slicing. Not here: what is done with a collection's arrays (`ml.training.candidate`).

Concept: one query per collection would cost more than the fit it feeds. Collections are read in chunks of so
many sales, each chunk in one query sorted by collection and known order, and cut by offsets without copying
rows one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.compute.matrix import Matrix, column, matrix
from ml.models.frames import FeatureSet
from ml.models.local import LocalInputs
from ml.models.traits import TraitLists, read_trait_types

Float = npt.NDArray[np.float64]

WITHOUT_FEATURES = "its sales have no features: it is set aside, or they are not built yet"
"""Why a collection of which there are predictions is left out."""

BASELINE_COLUMNS = {
    "p20_50": "floor_log",
    "med_30": "med_30_log",
    "med_5": "med_5_log",
    "last_index": "last_index_log",
}
"""Baseline name to its column in predictions.prior_walk_forward."""


@dataclass(frozen=True)
class CollectionSales:
    """Past sales of one collection with their out-of-fold predictions, in known order; arrays of length n.

    Attributes:
        collection: Whose.
        sale_id: Arrow strings.
        known_at: Microseconds since the epoch, UTC.
        fold: Walk-forward fold; 0 had no prior yet.
        prior_version: Version of the prior that made each prediction, None in fold 0.
        target_log: ln price.
        base_log: The index.
        prediction_log: ln estimate of the prior.
        baselines: Baseline name to ln ETH.
        names: Names of the numeric features of a local booster.
        numbers: Those features, shape (n, features).
        traits: Trait values of the sold tokens.
    """

    collection: str
    sale_id: pa.Array
    known_at: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    prior_version: npt.NDArray[np.object_]
    target_log: Float
    base_log: Float
    prediction_log: Float
    baselines: dict[str, Float]
    names: tuple[str, ...]
    numbers: Matrix
    traits: TraitLists

    def __len__(self) -> int:
        return len(self.known_at)

    @cached_property
    def inputs(self) -> LocalInputs:
        """What a local booster sees; made by the thread that needs it, so that bad traits fail one collection.

        Raises:
            RaggedTraitsError: When a token has another number of trait values than the collection has types.
        """
        return LocalInputs(self.names, self.numbers, self.traits.of_collection(self.collection))


def read_collections(
    con: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    sizes: Sequence[int],
    features: FeatureSet,
    rows_per_read: int,
    walked: str = "predictions.prior_walk_forward",
) -> Iterator[CollectionSales]:
    """Yield each key's sales, in the order of `keys`; a key whose sales have no features is left out.

    Args:
        con: Read connection.
        keys: Collections, each with at least one row in predictions.prior_walk_forward.
        sizes: Rows of each key.
        features: `local_names` are read.
        rows_per_read: A chunk ends with the key that reaches this many rows.
        walked: Table of out-of-fold predictions, with the columns of predictions.prior_walk_forward.
    """
    chunk: list[str] = []
    rows = 0
    for key, size in zip(keys, sizes, strict=True):
        chunk.append(key)
        rows += size
        if rows >= rows_per_read:
            yield from _read_chunk(con, chunk, features, walked)
            chunk, rows = [], 0
    if chunk:
        yield from _read_chunk(con, chunk, features, walked)


def _read_chunk(
    con: duckdb.DuckDBPyConnection, keys: Sequence[str], features: FeatureSet, walked: str
) -> Iterator[CollectionSales]:
    quoted = "".join(f', s."{name}"' for name in features.local_names)
    con.register("_chunk", pa.table({"collection": pa.array(keys, pa.string())}))
    try:
        table = con.execute(
            f"""
            select
                w.collection, w.sale_id, epoch_us(w.known_at) as known_us, w.fold, w.prior_version,
                w.target_log, w.base_log, w.prediction_log, w.floor_log, w.med_30_log, w.med_5_log,
                w.last_index_log, coalesce(t.trait_values, []) as trait_values {quoted}
            from {walked} as w
            inner join _chunk on w.collection = _chunk.collection
            inner join features.sale_features as s on w.sale_id = s.sale_id
            left join marts.dim_tokens as t on s.collection = t.collection and s.token_id = t.token_id
            order by w.collection, w.seq
            """
        ).to_arrow_table()
    finally:
        con.unregister("_chunk")
    table = table.combine_chunks()
    numbers = matrix(table, features.local_names)
    traits = TraitLists.of(table["trait_values"], read_trait_types(con, keys))
    names = table["collection"]
    columns = {name: column(table, name) for name in _FLOATS}
    known = table["known_us"].to_numpy()
    fold = table["fold"].to_numpy()
    versions = table["prior_version"].to_numpy(zero_copy_only=False)
    for key, start, stop in collection_slices(names, keys):
        cut = slice(start, stop)
        yield CollectionSales(
            collection=key,
            sale_id=table["sale_id"].slice(start, stop - start).combine_chunks(),
            known_at=known[cut],
            fold=fold[cut],
            prior_version=versions[cut],
            target_log=columns["target_log"][cut],
            base_log=columns["base_log"][cut],
            prediction_log=columns["prediction_log"][cut],
            baselines={name: columns[source][cut] for name, source in BASELINE_COLUMNS.items()},
            names=features.local_names,
            numbers=numbers[cut],
            traits=traits.slice(start, stop),
        )


_FLOATS = ("target_log", "base_log", "prediction_log", *BASELINE_COLUMNS.values())


def collection_slices(names: pa.ChunkedArray, keys: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each key's rows in a table sorted by collection: (key, start, stop), in the order of `keys`.

    A key without rows is left out.
    """
    if not len(names):
        return
    runs = pc.run_end_encode(names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names)
    if isinstance(runs, pa.ChunkedArray):
        runs = runs.combine_chunks()
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    where = dict(zip(runs.values.to_pylist(), zip(starts, ends, strict=True), strict=True))
    for key in keys:
        if key in where:
            yield key, *where[key]
