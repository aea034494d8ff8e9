"""API keys: making, revoking and recognising them.

Here: the file of keys. Not here: how often a key may ask (`limiting`).

Concept: a key is 256 random bits. Nobody can guess it or try all of them, so its plain SHA-256 is kept, and a slow
password hash would protect nothing and cost more than an answer. The key itself is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from lake.storage import write_whole
from serving.store.files import FOLDER as STORE_FOLDER

FOLDER = "api"
"""Folder of the keys within a home. Not that of the store: who deletes a store to publish it again keeps the keys."""

FILE = "api-keys.json"
PREFIX = "assay_"


class KeyFileError(RuntimeError):
    """The file of keys cannot be used, or there is no such key."""


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key.

    Attributes:
        id: Its public name: the first 12 hex digits of its digest.
        digest: SHA-256 of the key, hex.
        name: Whose it is, for people.
        created_at: ISO 8601 UTC.
        revoked_at: ISO 8601 UTC, or None while it is good.
        limit: Its own limit, such as "100/second"; empty: that of all keys.
    """

    id: str
    digest: str
    name: str
    created_at: str
    revoked_at: str | None = None
    limit: str = ""


class KeyFile:
    """The keys of a home, in one file that only its owner can read. Changes are seen by running servers at once.

    Args:
        folder: Folder of the keys; made with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._seen: tuple[int, int, int] | None = None
        self._good: dict[str, ApiKey] = {}

    def create(self, name: str, limit: str = "") -> tuple[str, ApiKey]:
        """Make a key; returns its text, which is kept nowhere, and what is kept of it."""
        text = PREFIX + secrets.token_urlsafe(32)
        digest = digest_of(text)
        key = ApiKey(digest[:12], digest, name, _now(), limit=limit)
        with self._changing() as keys:
            keys.append(key)
            self._write(keys)
        return text, key

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key worthless from now on.

        Raises:
            KeyFileError: There is no such key.
        """
        with self._changing() as keys:
            for place, key in enumerate(keys):
                if key.id == key_id:
                    keys[place] = replace(key, revoked_at=key.revoked_at or _now())
                    self._write(keys)
                    return keys[place]
        raise KeyFileError(f"expected the id of a key, found {key_id!r}; `assay api keys list` shows the ids")

    def all(self) -> list[ApiKey]:
        """Every key ever made, oldest first.

        Raises:
            KeyFileError: The file is no file of keys.
        """
        try:
            return [ApiKey(**row) for row in json.loads(self._path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, OSError) as error:
            raise KeyFileError(
                f"expected a list of keys in {self._path.name}, found something else ({type(error).__name__}); restore "
                "the file from a backup, or remove it and make new keys"
            ) from error

    def find(self, text: str) -> ApiKey | None:
        """The key with this text, unless it was revoked.

        Raises:
            KeyFileError: The file is no file of keys: then no key is good.
        """
        seen = self._look()
        if seen != self._seen:
            self._good = {}
            self._good = {key.digest: key for key in self.all() if key.revoked_at is None}
            self._seen = seen
        return self._good.get(digest_of(text))

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - for each request
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _changing(self) -> _Changing:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _Changing(self)

    def _write(self, keys: list[ApiKey]) -> None:
        write_whole(self._path, json.dumps([asdict(key) for key in keys], indent=1), mode=0o600)


class _Changing:
    """The keys, while no other process changes them."""

    def __init__(self, file: KeyFile) -> None:
        self._file, self._lock = file, FileLock(file._path.with_name(f"{FILE}.lock"))

    def __enter__(self) -> list[ApiKey]:
        self._lock.acquire()
        try:
            return self._file.all()
        except KeyFileError:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def keys_folder(home: Path) -> Path:
    """The folder of a home's keys. A file that an earlier version kept beside the store is moved there first."""
    folder, earlier = home / FOLDER, home / STORE_FOLDER
    if (earlier / FILE).exists() and not (folder / FILE).exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just moved it
            (earlier / FILE).replace(folder / FILE)
        (earlier / f"{FILE}.lock").unlink(missing_ok=True)
    return folder


def digest_of(text: str) -> str:
    """SHA-256 of a key's text, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
