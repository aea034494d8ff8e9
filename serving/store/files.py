"""The files of a store: one per version, and a small pointer that says which is current.

Here: naming, checking, swapping and removing them. Not here: their content (`schema`, `publication`).

Concept: a version is written under a temporary name, flushed to disk and renamed; only then is the pointer replaced.
A process killed at any moment leaves the old pointer or the new one, each naming a complete file. A reader that finds
the size or the digest differing from the pointer knows that the file was copied in part or damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lake.storage import write_whole
from serving.store.errors import StoreDamagedError, StoreFormatError, StoreMissingError, StoreTooOldError
from serving.store.schema import FORMAT

FOLDER = "serving"
"""Folder of the store within a home."""

POINTER = "current.json"
KEPT_VERSIONS = 3
"""The current version and the two before it: a reader that is slow to notice a swap finds its file."""

_PREFIX, _SUFFIX, _UNFINISHED = "estimates-", ".sqlite", ".unfinished"
_NUMBER = re.compile(rf"{_PREFIX}(\d{{8}})-")
_BLOCK = 4096
_SAMPLED_BLOCKS = 4096


@dataclass(frozen=True)
class Pointer:
    """Which version is current, and how fresh it is.

    Attributes:
        format: Format of the file (`schema.FORMAT`).
        version: Name of the version; never used twice.
        file: Name of the file in the same folder.
        bytes: Its size.
        digest: SHA-256 of its size and sampled blocks (`sample_digest`).
        published_at: When the version was written, seconds since 1970 (wall clock).
        confirmed_at: When it was last seen to equal the lake; the same or later.
        market_time: As-of time of the home then (the watermark of its source), ISO 8601 UTC.
        lag_s: Seconds of market time that the newest estimate was behind `market_time`.
        stale_after_s: Service level: age in seconds beyond which answers are called stale.
    """

    format: int
    version: str
    file: str
    bytes: int
    digest: str
    published_at: float
    confirmed_at: float
    market_time: str
    lag_s: float
    stale_after_s: float

    def age_s(self, now: float) -> float:
        """Age of the data in seconds at `now` (seconds since 1970): lag when confirmed, and the time since."""
        return max(0.0, now - self.confirmed_at) + self.lag_s


def check_age(pointer: Pointer, now: float, refuse_after_s: float) -> None:
    """Refuse a version whose data are older than `refuse_after_s` seconds at `now` (seconds since 1970).

    Raises:
        StoreTooOldError: They are.
    """
    age = pointer.age_s(now)
    if age > refuse_after_s:
        raise StoreTooOldError(
            f"expected data at most {refuse_after_s / 3600:g} h old, found {age / 3600:.1f} h; run `assay run`"
        )


def read_pointer(folder: Path) -> Pointer:
    """The pointer of a store.

    Raises:
        StoreMissingError: Nothing was published.
        StoreFormatError: It is of another format.
        StoreDamagedError: It cannot be read.
    """
    path = folder / POINTER
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreMissingError(
            f"expected a published store ({POINTER}), found none; `assay run` publishes one"
        ) from None
    except (ValueError, OSError) as error:
        raise StoreDamagedError(
            f"expected {POINTER} to be JSON, found something else ({type(error).__name__}); publish again with "
            "`assay run`"
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        found_format = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise StoreFormatError(
            f"expected a store of format {FORMAT}, found {found_format}; publish again with this version: `assay run`"
        )
    try:
        return Pointer(**{field.name: found[field.name] for field in fields(Pointer)})
    except KeyError as error:
        raise StoreDamagedError(
            f"expected {error} in {POINTER}, found no such entry; publish again with `assay run`"
        ) from error


def check_file(folder: Path, pointer: Pointer) -> Path:
    """The file of a version, after comparing its size and digest with the pointer.

    Raises:
        StoreDamagedError: It is not there, or not the file that was published.
    """
    path = folder / pointer.file
    try:
        size = path.stat().st_size
        digest = sample_digest(path) if size == pointer.bytes else ""
    except OSError as error:
        raise StoreDamagedError(
            f"expected the file of version {pointer.version}, found none that can be read ({error.strerror}); publish "
            "again with `assay run`"
        ) from error
    if size != pointer.bytes or digest != pointer.digest:
        what = f"{size:,} bytes" if size != pointer.bytes else "other content"
        raise StoreDamagedError(
            f"expected {pointer.bytes:,} bytes as published in version {pointer.version}, found {what}: the copy is "
            "incomplete or damaged; copy it again or publish with `assay run`"
        )
    return path


def sample_digest(path: Path) -> str:
    """SHA-256 of the size and of up to 4,096 blocks of 4 KiB, spread evenly over the file; all of a small file.

    It costs milliseconds whatever the size. A copy that stopped or has a gap is noticed unless the gap is smaller than
    a 4,096th of the file; a single flipped bit in a large file is not.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    blocks = -(-size // _BLOCK)
    chosen = (
        range(blocks)
        if blocks <= _SAMPLED_BLOCKS
        else sorted({number * (blocks - 1) // (_SAMPLED_BLOCKS - 1) for number in range(_SAMPLED_BLOCKS)})
    )
    with path.open("rb") as file:
        for block in chosen:
            digest.update(os.pread(file.fileno(), _BLOCK, block * _BLOCK))
    return digest.hexdigest()


def unfinished_path(folder: Path, version: str) -> Path:
    """Where a version is written before it is complete."""
    return folder / f"{_PREFIX}{version}{_SUFFIX}{_UNFINISHED}"


def file_name(version: str) -> str:
    """Name of the file of a complete version."""
    return f"{_PREFIX}{version}{_SUFFIX}"


def highest_number(folder: Path) -> int:
    """The number of the last version, from the names of files and from the pointer, whatever state they are in."""
    names = [path.name for path in folder.glob(f"{_PREFIX}*{_SUFFIX}")]
    with suppress(OSError, UnicodeDecodeError):
        names.append((folder / POINTER).read_text(encoding="utf-8"))
    return max((int(number) for name in names for number in _NUMBER.findall(name)), default=0)


def swap(folder: Path, unfinished: Path, pointer: Pointer) -> None:
    """Make a finished file the current version, and remove versions beyond `KEPT_VERSIONS`."""
    flush(unfinished)
    unfinished.replace(folder / pointer.file)
    flush(folder)
    write_pointer(folder, pointer)
    prune(folder, pointer)


def write_pointer(folder: Path, pointer: Pointer) -> None:
    """Replace the pointer as a whole, safely against a crash."""
    write_whole(folder / POINTER, json.dumps(asdict(pointer), indent=1) + "\n")
    flush(folder)


def prune(folder: Path, pointer: Pointer) -> None:
    """Remove what a killed publisher left unfinished, and versions older than those that are kept."""
    for pattern in (f"*{_UNFINISHED}*", f"{POINTER}.*.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    versions = sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"), reverse=True)
    older = [path for path in versions if path.name != pointer.file]
    for path in older[KEPT_VERSIONS - 1 :]:
        path.unlink(missing_ok=True)


def copy_forward(source: Path, target: Path) -> None:
    """Copy a version, sharing its blocks where the file system can (Btrfs, XFS) and within the kernel elsewhere."""
    with source.open("rb") as reading, target.open("wb") as writing:
        left = os.fstat(reading.fileno()).st_size
        while left > 0:
            try:
                copied = os.copy_file_range(reading.fileno(), writing.fileno(), min(left, 1 << 30))
            except OSError:  # not between these file systems
                copied = os.sendfile(writing.fileno(), reading.fileno(), None, min(left, 1 << 30))
            if copied == 0:
                raise StoreDamagedError(
                    f"expected {left:,} more bytes in {source.name}, found its end: it was cut while it was copied; "
                    "publish again"
                )
            left -= copied


def flush(path: Path) -> None:
    """Have the operating system write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
