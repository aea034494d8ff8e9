"""The place of a lake's files, a folder or an object-store prefix: small text files in it, and whether a file exists.

A folder is used directly. An object store is used through DuckDB, so that the lake needs no second client and no second
set of credentials.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

from lake.errors import DataPathError


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_list(words: Iterable[str]) -> str:
    """The words as a list for `in` of an SQL text."""
    return "(" + ", ".join(map(quoted, words)) + ")"


def is_object_store(path: str) -> bool:
    """Whether a data path is a prefix such as ``s3://bucket/prefix``, and not a folder."""
    return "://" in path


def relative_path(folder: str, path: str) -> str | None:
    """A path within the folder, or None if it is not in the folder.

    A path that passes through a symbolic link or ``..`` below the folder does not count as in it, wherever it ends.
    The folder itself may be a link.

    Args:
        folder: Folder or prefix, with trailing slash.
        path: A file, spelled as it was listed.
    """
    if not path.startswith(folder):
        return None
    relative = path[len(folder) :]
    if any(part in ("", ".", "..") for part in relative.split("/")):
        return None
    if not is_object_store(folder) and Path(path).resolve() != Path(folder).resolve() / relative:
        return None
    return relative


def write_whole(target: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file in one step: a reader, or a kill, finds the old content or the new one, never a part of it.

    Args:
        target: The file.
        content: Bytes, or text that is written as UTF-8.
        mode: Who may read and write it, less the process's umask; 0o600 for a secret.

    Raises:
        OSError: If the folder cannot be written.
    """
    with _partial(target, content, mode) as partial:
        partial.replace(target)


def place_new(finished: Path, target: Path) -> bool:
    """Give a finished file its name unless there is a file of that name, in one step; False if there is one.

    Args:
        finished: A file in the same file system. It may be there afterwards or not.
        target: Its name. Of several processes that place a file there, the first succeeds.

    Raises:
        OSError: If the folder cannot be written.
    """
    try:
        # Unlike a rename, a link never replaces an existing file.
        os.link(finished, target)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links (FAT, some network mounts): a kill in between leaves an empty file.
        try:
            target.open("x").close()
        except FileExistsError:
            return False
        finished.replace(target)
    return True


@contextmanager
def _partial(target: Path, content: str | bytes, mode: int = 0o666) -> Iterator[Path]:
    """The content in a file next to the target, under a name of its own; removed at the end if it is still there."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        # Where nothing can be written nothing can be removed either; the first error is the one to raise.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


class Storage:
    """One folder or prefix.

    Args:
        folder: With trailing slash.
        connect: Opens a DuckDB connection that can reach the prefix; called for an object store only.
    """

    def __init__(self, folder: str, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self.folder = folder
        self.connect = connect

    def read(self, name: str) -> str | None:
        """The text of a file, or None if there is none."""
        if is_object_store(self.folder):
            if not self.has(name):
                return None
            return str(self._rows(f"select content from read_text({quoted(self.folder + name)})")[0][0])
        try:
            return (Path(self.folder) / name).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def create(self, name: str, text: str) -> bool:
        """Write a file that does not exist yet, completely or not at all; False if another process created it first.

        An object store has no such operation in DuckDB: of two writers at the same time the last one wins there, so the
        caller reads the file again afterwards.

        Raises:
            OSError: If the folder cannot be made or written.
        """
        if is_object_store(self.folder):
            if self.read(name) is not None:
                return False
            self.replace(name, text)
            return True
        target = Path(self.folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with _partial(target, text) as partial:
            return place_new(partial, target)

    def replace(self, name: str, text: str) -> None:
        """Write a file; an existing one is replaced.

        Raises:
            OSError: If the folder cannot be written.
        """
        if is_object_store(self.folder):
            self._rows(
                f"copy (select {quoted(text)}) to {quoted(self.folder + name)} "
                "(format csv, header false, quote '', escape '', delimiter '\x01')"
            )
            return
        write_whole(Path(self.folder) / name, text)

    def has(self, name: str) -> bool:
        """Whether a file exists."""
        if is_object_store(self.folder):
            # As a pattern: DuckDB answers a plain name without asking S3, and then reading a missing file raises.
            path = self.folder + name
            return bool(self._rows(f"from glob({quoted(f'{path[:-1]}[{path[-1]}]')})"))
        return (Path(self.folder) / name).exists()

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        import duckdb

        con = self.connect()
        try:
            return con.execute(statement).fetchall()
        except (duckdb.HTTPException, duckdb.IOException) as error:
            raise DataPathError(
                f"Expected to reach {self.folder}, found: {str(error).splitlines()[0]}; check the bucket in "
                "ASSAY_DATA_PATH, ASSAY_S3_ENDPOINT and the keys, and start again."
            ) from error
        finally:
            con.close()
