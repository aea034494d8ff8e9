"""What can be wrong with a store. Each message says what was expected, what was found and what to do."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A store cannot be written or served."""


class StoreMissingError(StoreError):
    """Nothing was published yet."""


class StoreDamagedError(StoreError):
    """The published file is missing, shorter than it was, or has other bytes."""


class StoreFormatError(StoreError):
    """The file was written by another version of this code."""


class StoreTooOldError(StoreError):
    """The published data are too old to be served at all."""


class PublicationError(StoreError):
    """The lake does not hold what a publication needs."""


class PublicationBusyError(PublicationError):
    """Another publication to the same store does not end."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(
            f"expected to be the only publication, found another one that runs for more than {waited_s:g} s; wait for "
            "it, or end its process"
        )


class StoreUnreachableError(StoreError):
    """The database of the store cannot be asked now. `detail` is what it said, for logs and not for answers."""

    detail = ""


class StoreAddressError(StoreError):
    """The address of the store cannot be used."""
