"""Which tokens' reasons are asked for most, so that the next publication computes them beforehand.

Here: counting in a process that answers, its small file, and reading the files of all such processes. Not here: the
reasons (`reasons`), or who counts (`serving.api`).

Concept: each process counts in memory and has a file of its own, which a thread replaces now and then: no lock between
processes, and no file in the path of a request. A kill loses the counts since the last write. Counts halve with each
week, so that what is asked now outweighs what was asked in spring. What is kept is a collection, a token and a number:
not who asked. Only tokens that exist are counted, so the names are those of the store.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from lake.storage import write_whole

_log = logging.getLogger(__name__)

FOLDER = "asked"
"""Folder of the files within the store."""

HALF_LIFE_S = 7 * 86_400.0
"""Seconds after which a count is worth half."""

FORGOTTEN_AFTER_S = 60 * 86_400.0
"""Age in seconds of a file that no process writes any more, beyond which it is removed."""

MAX_COUNTED = 4_000
"""Tokens that a process counts; half of them, the least asked, are forgotten when there are more."""

MAX_WRITTEN = 1_000
"""Tokens in a file, the most asked."""

MAX_NAME = 1_000
"""Characters of a collection and a token that is counted: a file stays small, whatever they are called."""

MAX_FILES = 64
MAX_FILE_BYTES = 16 << 20
_SUFFIX = ".json"

Token = tuple[str, str]
"""Collection and token id."""


class AskedTokens:
    """The counts of one process.

    Args:
        folder: Folder of the files; made with the first write.
        clock: Seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}"
        self._clock, self._since = clock, clock()
        self._counts: Counter[Token] = Counter()
        self._lock = threading.Lock()
        self._is_written = True

    def count(self, collection: str, token: str) -> None:
        """The reasons of an existing token were asked for."""
        if len(collection) + len(token) > MAX_NAME:
            return
        with self._lock:
            self._counts[collection, token] += 1
            self._is_written = False
            if len(self._counts) > MAX_COUNTED:
                self._counts = Counter(dict(self._counts.most_common(MAX_COUNTED // 2)))

    def write(self) -> None:
        """Replace the file, if anything was asked since.

        Raises:
            OSError: The folder cannot be written.
        """
        with self._lock:
            if self._is_written:
                return
            now = self._clock()
            left = _weight(now - self._since)
            self._counts = Counter({key: count * left for key, count in self._counts.items()})
            self._since, self._is_written = now, True
            best = self._counts.most_common(MAX_WRITTEN)
        document = {"at": now, "tokens": [[*key, round(count, 3)] for key, count in best]}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(document))
        except OSError:
            self._is_written = False
            raise

    @asynccontextmanager
    async def written_every(self, seconds: float) -> AsyncIterator[None]:
        """Have a thread write now and then, and at the end; a lifespan of an application."""
        end = threading.Event()
        thread = threading.Thread(
            target=self._write_until, args=(end, seconds), name="asked reasons", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            end.set()
            await asyncio.to_thread(thread.join)

    def _write_until(self, end: threading.Event, seconds: float) -> None:
        was_refused = False
        is_over = False
        while not is_over:
            is_over = end.wait(seconds)
            try:
                self.write()
                was_refused = False
            except OSError as error:
                # Answers matter more than counts: a store on a disk that cannot be written is served all the same.
                if not was_refused:
                    _log.warning(
                        "which reasons are asked for cannot be kept in %s: %s", self._path.parent, error
                    )
                was_refused = True


def most_asked(folder: Path, limit: int, now: float) -> list[Token]:
    """The tokens asked for most, over all processes, the most asked first.

    Files of processes that ended long ago are removed, and so is what is no such file. One that cannot be read does
    not cost the others.

    Args:
        folder: Folder of the files; may be missing.
        limit: Tokens wanted.
        now: Seconds since 1970.
    """
    if limit <= 0:
        return []
    counts: Counter[Token] = Counter()
    for path in _newest(folder, now):
        try:
            found = _read(path)
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "expected counts of asked reasons in %s, found something else: %r; left out", path, error
            )
            continue
        weight = _weight(now - found[0])
        for key, count in found[1].items():
            counts[key] += count * weight  # type: ignore[assignment]
    return sorted(counts, key=lambda key: (-counts[key], key))[:limit]


def _newest(folder: Path, now: float) -> list[Path]:
    """The files that count, the newest first; the others are removed."""
    aged = []
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(OSError):  # removed meanwhile by another publication
            aged.append((path.stat().st_mtime, path))
    aged.sort(reverse=True)
    kept = [path for at, path in aged[:MAX_FILES] if now - at <= FORGOTTEN_AFTER_S]
    for _, path in aged[len(kept) :]:
        path.unlink(missing_ok=True)
    return kept


def _read(path: Path) -> tuple[float, dict[Token, float]]:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"expected at most {MAX_FILE_BYTES:,} bytes")
    document = json.loads(path.read_text(encoding="utf-8"))
    tokens = {(str(collection), str(token)): float(count) for collection, token, count in document["tokens"]}
    if not all(0 <= count < 1e15 for count in tokens.values()):
        raise ValueError("expected counts, found other numbers")
    return float(document["at"]), tokens


def _weight(age_s: float) -> float:
    return 0.5 ** (max(0.0, age_s) / HALF_LIFE_S)
