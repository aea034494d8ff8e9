"""Small files in a folder, or under a prefix of an object store: read whole, written whole.

Here: both kinds behind the same three questions. Not here: the lake's own files (`lake.storage`, DuckLake), or what is
in a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lake.errors import FilesUnreachableError
from lake.object_store import SCHEME, ObjectStore
from lake.storage import is_object_store, write_whole

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

CONNECT_S = 5.0
"""Seconds to wait for a connection to an object store."""


class Files(Protocol):
    """Files by name; a name may have folders in it."""

    def read(self, name: str) -> bytes:
        """The content.

        Raises:
            FileNotFoundError: There is no such file.
            OSError: It cannot be read.
            FilesUnreachableError: The object store does not answer.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file: who reads it finds the old content or the new one, never a part.

        Raises:
            OSError: It cannot be written.
            FilesUnreachableError: The object store does not answer.
        """
        ...

    def shown(self, name: str) -> str:
        """Where it is, for a message."""
        ...

    def uri(self, name: str) -> str:
        """Where it is, as a URI."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """Files of a folder.

    Attributes:
        folder: Made with the first file.
    """

    folder: Path

    def read(self, name: str) -> bytes:
        """See `Files.read`."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Files.write`."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)

    def shown(self, name: str) -> str:
        """See `Files.shown`."""
        return str(self.folder / name)

    def uri(self, name: str) -> str:
        """See `Files.uri`."""
        return (self.folder / name).absolute().as_uri()


@dataclass(frozen=True)
class ObjectFiles:
    """Files under a prefix of an object store.

    Attributes:
        prefix: Bucket, and a prefix in it: `s3://bucket/prefix`.
        store: Where the bucket is, and who we are there.
    """

    prefix: str
    store: ObjectStore

    def read(self, name: str) -> bytes:
        """See `Files.read`."""
        with self._reachable(), _client(self.store).open_input_file(self._key(name)) as file:
            return bytes(file.read())

    def write(self, name: str, content: bytes) -> None:
        """See `Files.write`. An object is there when it is whole."""
        with self._reachable(), _client(self.store).open_output_stream(self._key(name)) as stream:
            stream.write(content)

    def shown(self, name: str) -> str:
        """See `Files.shown`."""
        return self.uri(name)

    def uri(self, name: str) -> str:
        """See `Files.uri`."""
        return f"{self.prefix.rstrip('/')}/{name}"

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise FilesUnreachableError(
                f"expected to reach {self.prefix}, found: {error}; correct the address or the keys of the object store "
                "(ASSAY_S3_…), or try again when it answers"
            ) from error

    def _key(self, name: str) -> str:
        return self.uri(name).removeprefix(SCHEME)


def files_at(place: Path | str, store: ObjectStore | None) -> Files:
    """The files of a folder or of an address such as `s3://bucket/prefix`, which needs an object store."""
    if isinstance(place, str) and is_object_store(place):
        assert store is not None, "an address of an object store has one"
        return ObjectFiles(place, store)
    return FolderFiles(Path(place).expanduser().absolute())


def files_of_values(values: Mapping[str, Any]) -> Files:
    """The place whose fields were written as JSON, for another process (`dataclasses.asdict`)."""
    if "folder" in values:
        return FolderFiles(Path(values["folder"]))
    return ObjectFiles(values["prefix"], ObjectStore(**values["store"]))


@lru_cache(maxsize=4)
def _client(store: ObjectStore) -> S3FileSystem:
    from pyarrow.fs import S3FileSystem

    # Servers that do not know checksums behind the content (s3rver, older ones of others) store them as a part of it.
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    where = {} if store.endpoint is None else {"endpoint_override": store.endpoint.rstrip("/")}
    return S3FileSystem(
        access_key=store.access_key_id,
        secret_key=store.secret_access_key,
        region=store.region,
        force_virtual_addressing=not store.path_style,
        allow_delayed_open=True,  # a small file is one request
        background_writes=False,
        connect_timeout=CONNECT_S,
        **where,
    )
