"""The files of a folder and of its subfolders, and of which format each is.

Here: names and first bytes. Not here: reading them (`sources.files.reading.text`, `sources.files.reading.documents`,
`sources.files.reading.columnar`), and what they hold (`sources.files.recognition`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

MAPPING_FILE = "assay.yaml"
"""A user's own column names, beside the files (docs/how-to/own-files.md)."""

FORMAT_BY_SUFFIX: dict[str, str] = {
    ".csv": "text", ".tsv": "text", ".tab": "text", ".psv": "text", ".txt": "text",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet",
    ".feather": "arrow", ".arrow": "arrow", ".ipc": "arrow",
}  # fmt: skip
PACKED = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4")
_HIVE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.+)")
_NO_DATA = (
    ".md",
    ".rst",
    ".html",
    ".pdf",
    ".png",
    ".jpg",
    ".py",
    ".sql",
    ".ipynb",
    ".log",
    ".yaml",
    ".yml",
    ".toml",
)
_SHEETS = (".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class DataFile:
    """One file of the folder.

    Attributes:
        path: Where it is.
        name: Its path within the folder, with "/".
        format: `text`, `json`, `parquet` or `arrow`; empty for files that are left out.
        reason: Why it is left out.
        partition: Columns that the names of its folders hold (`chain=ethereum/`).
        key: Where its rows are in a document with several lists.
    """

    path: Path
    name: str
    format: str
    reason: str = ""
    partition: dict[str, str] = field(default_factory=dict, hash=False)
    key: str = ""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names that may say what it holds, the nearest first: its list's keys, its own, then its folders'."""
        keys = tuple(reversed(self.key.split("."))) if self.key else ()
        if keys and self.name.endswith(f"/{self.key}"):
            # What the document is called is said of its main list only.
            return keys
        parts = [plain_stem(part) for part in reversed(Path(self.name).parts)]
        return (*keys, *(part for part in parts if not _HIVE.fullmatch(part)))

    def list_at(self, key: str, *, main: bool) -> DataFile:
        """One of several lists of the document; the main one keeps the document's name. An empty key: the only one."""
        return replace(self, key=key, name=self.name if main else f"{self.name}/{key}")


def plain_stem(name: str) -> str:
    """A file's name without the suffixes that say its format and packing."""
    known = (*FORMAT_BY_SUFFIX, *PACKED, ".snappy", ".zlib", ".crc")
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or f"{dot}{suffix}".lower() not in known:
            return name
        name = stem


def find_files(directory: Path) -> list[DataFile]:
    """All files below a folder by name, without those that no person put there (hidden ones, `_SUCCESS`).

    Links are followed; what a second path leads to is named and not read again.
    """
    return sorted(_below(directory, directory, {os.path.realpath(directory)}), key=lambda file: file.path)


def _below(directory: Path, folder: Path, seen: set[str]) -> Iterator[DataFile]:
    # What is here itself comes before links to it.
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_symlink(), path)):
        within = path.relative_to(directory)
        if path.name.startswith((".", "_")) or within.as_posix() == MAPPING_FILE:
            continue
        place = os.path.realpath(path)
        if place in seen:
            yield DataFile(path, within.as_posix(), "", "another path to what is read already")
        elif path.is_dir():
            seen.add(place)
            yield from _below(directory, path, seen)
        elif not path.is_file():
            yield DataFile(path, within.as_posix(), "", "no file: a link to nothing, or a device")
        elif path.suffix.lower() != ".crc":
            seen.add(place)
            yield _describe(path, within)


def _describe(path: Path, within: Path) -> DataFile:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    partition = {m[1]: unquote(m[2]) for part in within.parts[:-1] if (m := _HIVE.fullmatch(part))}
    kind = FORMAT_BY_SUFFIX.get(suffix, "")
    if _starts_with(path, b"PAR1"):
        kind = "parquet"
    reason = "" if kind else _why_not(path, suffix)
    return DataFile(path, within.as_posix(), kind, reason, partition)


def _why_not(path: Path, suffix: str) -> str:
    if suffix in _SHEETS:
        return "a spreadsheet: save the sheet as CSV"
    if suffix == ".zip" or _starts_with(path, b"PK\x03\x04"):
        return "a zip archive: unpack it here"
    if suffix in _NO_DATA:
        return "no data format"
    return f"no format we read ({', '.join(FORMAT_BY_SUFFIX)}, also packed as {', '.join(PACKED[::2])})"


def _starts_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError:
        return False
