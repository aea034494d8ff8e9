"""Hashes, addresses and other text columns of the simulated chain, made for whole arrays at once.

Here: integers → Arrow text. Not here: which rows get which number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(keys: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """SplitMix64 of integer keys: well mixed, the same on every machine (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = np.asarray(keys).astype(np.uint64) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def salted(seed: int, purpose: int, keys: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Mixed keys that differ by seed and purpose."""
    salt = int(mix(np.array([int(mix(np.array([seed]))[0] >> np.uint64(1)) + purpose]))[0] >> np.uint64(1))
    with np.errstate(over="ignore"):
        return mix(np.asarray(keys).astype(np.uint64) + np.uint64(salt))


def hex_text(keys: npt.NDArray[np.uint64], n_bytes: int) -> pa.StringArray:
    """`0x` and n_bytes of hex per key (20 for addresses, 32 for hashes)."""
    words = (n_bytes + 7) // 8
    with np.errstate(over="ignore"):
        mixed = np.stack([mix(keys + np.uint64(j) * _GOLDEN) for j in range(words)], axis=1)
    raw = mixed.astype(">u8").view(np.uint8).reshape(len(keys), words * 8)[:, :n_bytes]
    width = 2 + 2 * n_bytes
    text = np.empty((len(keys), width), np.uint8)
    text[:, :2] = (ord("0"), ord("x"))
    text[:, 2::2] = _HEX[raw >> 4]
    text[:, 3::2] = _HEX[raw & 15]
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def number_text(numbers: npt.ArrayLike) -> pa.StringArray:
    """Whole numbers as decimal text."""
    import pyarrow.compute as pc  # a tenth of a second, which who only asks for the last day does not spend

    return pc.cast(pa.array(np.asarray(numbers)), pa.string())


def joined(*parts: str | pa.Array) -> pa.StringArray:
    """Text put together from constants and columns, row by row."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*parts, "")


def constant(value: object, dtype: pa.DataType, length: int) -> pa.Array:
    """One value, many times."""
    return pa.nulls(length, dtype) if value is None else pa.repeat(pa.scalar(value, dtype), length)
