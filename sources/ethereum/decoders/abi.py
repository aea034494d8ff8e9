"""Decoding ABI-encoded data by `eth-abi`, with one kind of error.

Here: a decoder for a list of types that is made once. Not here: which types an event has (the marketplaces' files).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_abi.decoding import ContextFramesBytesIO, TupleDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import registry

from sources.ethereum.log import UndecodableLogError


def decoder(types: Sequence[str]) -> Callable[[bytes], tuple[Any, ...]]:
    """A function from ABI-encoded data to values. `eth_abi.decode` would look its types up for every log.

    Args:
        types: ABI types in order.

    Returns:
        A function that raises `UndecodableLogError` when the data are not of these types.
    """
    decode = TupleDecoder(decoders=[registry.get_decoder(kind) for kind in types])

    def decoded(data: bytes) -> tuple[Any, ...]:
        try:
            values: tuple[Any, ...] = decode(ContextFramesBytesIO(data))
        except (DecodingError, OverflowError, ValueError) as error:
            raise UndecodableLogError(
                f"expected {len(types)} ABI values, found {len(data)} bytes: {error}"
            ) from error
        return values

    return decoded
