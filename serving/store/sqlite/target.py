"""Publishing into SQLite files: the version before is copied, brought up to date, and swapped in as a whole.

Here: the order of the steps. Not here: statements (`sqlite.version_writer`), names and the swap (`files`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from serving.store import files
from serving.store.errors import PublicationBusyError, StoreError, StoreMissingError
from serving.store.files import Pointer
from serving.store.market_documents import PREFIX, stored_digest
from serving.store.plan import Base, Stored
from serving.store.sqlite.store import open_immutable
from serving.store.sqlite.version_writer import VersionWriter
from serving.store.target import Changes, Stamp, Written


class FileTarget:
    """The store in a folder.

    Args:
        folder: The folder, which is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def base(self) -> tuple[Base | None, str | None]:
        """The version that the pointer names, if its file is the one that was published."""
        try:
            pointer = files.read_pointer(self._folder)
            path = files.check_file(self._folder, pointer)
        except StoreMissingError:
            return None, "the first publication"
        except StoreError as error:
            return None, str(error)
        return read_base(path, pointer), None

    def confirm(self, pointer: Pointer) -> None:
        """Replace the pointer; the file stays."""
        files.write_pointer(self._folder, pointer)

    def write(
        self, changes: Changes, base: Base | None, stamp: Stamp, timed: Callable[[str], None]
    ) -> Written:
        """Copy, write, swap."""
        # Higher than any before, so that versions sort, with a random end, so that no name is ever used twice.
        version = f"{files.highest_number(self._folder) + 1:08d}-{secrets.token_hex(4)}"
        unfinished = files.unfinished_path(self._folder, version)
        unfinished.unlink(missing_ok=True)
        if base is not None:
            files.copy_forward(self._folder / base.pointer.file, unfinished)
        timed("copy")
        with VersionWriter(unfinished, is_new=base is None) as writer:
            writer.write(changes)
            writer.seal(version, stamp.now, stamp.market_time)
            rows = dict(writer.rows)
        timed("write")
        size, digest = unfinished.stat().st_size, files.sample_digest(unfinished)
        pointer = stamp.pointer(version, size, files.file_name(version), digest)
        files.swap(self._folder, unfinished, pointer)
        timed("swap")
        return Written(pointer, rows)


@contextmanager
def file_target(folder: Path, timeout_s: float) -> Iterator[FileTarget]:
    """The store in a folder, which is made if it is not there, while no other process publishes to it.

    Raises:
        PublicationBusyError: Another process is publishing for too long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "publish.lock")
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise PublicationBusyError(timeout_s) from None
    try:
        yield FileTarget(folder)
    finally:
        lock.release()


def read_base(path: Path, pointer: Pointer) -> Base:
    """What a file has, as far as the next version is compared with it."""
    con = open_immutable(path)
    try:
        rows = con.execute(
            "select id, name, tokens_digest, history_digest, record_digest, record, body from collections"
        ).fetchall()
        cut = len(PREFIX)
        documents = dict(
            con.execute("select name, body from documents where substr(name, 1, ?) <> ?", (cut, PREFIX))
        )
        markets = {
            name: stored_digest(head)
            for name, head in con.execute(
                "select substr(name, ?), substr(body, 1, 100) from documents where substr(name, 1, ?) = ?",
                (cut + 1, cut, PREFIX),
            )
        }
        wallets = dict(con.execute("select owner, digest from gains"))
        reasons = dict(con.execute("select collection, max(digest) from explanations group by collection"))
    finally:
        con.close()
    stored = {row[1]: Stored(row[0], *row[2:]) for row in rows}
    return Base(pointer, stored, documents, markets, reasons, wallets)
