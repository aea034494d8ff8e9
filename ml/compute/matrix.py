"""Arrow tables as the float matrices that models take.

Here: turning named columns of an Arrow table or batch into one float32 matrix. Not here: which columns (the
feature schema decides) or what they mean.

Concept: a null is NaN, which CatBoost treats as a value of its own; nothing is imputed.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Matrix = npt.NDArray[np.float32]


class FeatureMismatchError(ValueError):
    """The features at hand are not the features the model was fitted on."""


def column(table: pa.Table | pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """One numeric column as float64, nulls as NaN, shape (rows,).

    Raises:
        FeatureMismatchError: When the table has no such column.
    """
    index = table.schema.get_field_index(name)
    if index < 0:
        raise FeatureMismatchError(
            f"expected a column {name!r}, found {', '.join(table.schema.names)}; rebuild the features"
        )
    values = table.column(index)
    if not pa.types.is_float64(values.type):
        values = pc.cast(values, pa.float64())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # an empty chunked array stays chunked
            return np.empty(0)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def matrix(table: pa.Table | pa.RecordBatch, names: Sequence[str]) -> Matrix:
    """The named columns side by side, shape (rows, len(names)), float32, nulls as NaN."""
    values = np.empty((table.num_rows, len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        values[:, position] = column(table, name)
    return values


def group_codes(values: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Dense codes of a string column by first appearance, and the distinct values in code order.

    Returns:
        Codes of shape (rows,) and the list of groups.
    """
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):
            if encoded.num_chunks == 0:
                return np.empty(0, np.int64), []
            encoded = encoded.chunk(0)
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
