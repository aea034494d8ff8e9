"""Bytes of a text file: packing, encoding, separator, header. Here: what a text is written in. Not here: its rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from sources.files.errors import UnreadableFileError

_HEAD = 1 << 20
_SEPARATORS = (",", "\t", ";", "|", "\x01", "^", "~")
_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PACKING: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_COMMENTS = ("#", "//", "--")
_LOOKED_AT = 200
_MOST_TITLES = 10


@dataclass(frozen=True)
class Layout:
    """How the rows of a text file are written.

    Attributes:
        names: The header's fields, and a nameless one where rows have one field more.
        separator: Between fields.
        quote: Around fields.
        skipped: Lines before the first row, the header's among them.
        escape: Before a quote within a field, where it is not the quote itself.
        blanks: Whether blanks stand between a separator and a quoted field.
    """

    names: list[str]
    separator: str
    quote: str
    skipped: int
    escape: str | None = None
    blanks: bool = False


def unpack(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when its first ones say that it is packed."""
    with path.open("rb") as stream:
        start = stream.read(4)
    packing = next((name for magic, name in _PACKING if start.startswith(magic)), None)
    if packing is None:
        return path.open("rb")
    opened: Any = pa.CompressedInputStream(pa.OSFile(str(path)), packing)
    return opened


def as_utf8(path: Path) -> tuple[bytes | None, bytes, str]:
    """The whole file in UTF-8 when it had to be decoded (else None), its first megabyte in UTF-8, and its encoding."""
    with unpack(path) as stream:
        head = stream.read(_HEAD)
    mark = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), None)
    encoding = mark[1] if mark else _without_mark(head)
    if encoding == "utf-8":
        return None, head.removeprefix(codecs.BOM_UTF8), encoding
    with unpack(path) as stream:
        content = stream.read()
    try:
        text = content.removeprefix(mark[0] if mark else b"").decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{path.name}: expected text in {encoding.upper()}, as its first bytes say, found: {error};"
            " save it as UTF-8"
        ) from None
    whole = text.encode()
    return whole, whole[:_HEAD], encoding


def _without_mark(head: bytes) -> str:
    """UTF-16 shows itself by the zero in every other byte."""
    sample = head[:4000]
    if len(sample) >= 4 and sample[1::2].count(0) > 0.4 * len(sample) / 2:
        return "utf-16-le"
    if len(sample) >= 4 and sample[0::2].count(0) > 0.4 * len(sample) / 2:
        return "utf-16-be"
    return "utf-8"


def find_layout(head: bytes, name: str) -> Layout:
    """Separator, quote and header from the first megabyte.

    Raises:
        UnreadableFileError: If there is no header line.
    """
    # Latin-1 maps every byte to a character: names are decoded again below.
    lines = head.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    skipped, separator = 0, ""
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].startswith(_COMMENTS)):
        skipped += 1
    if skipped < len(lines) and lines[skipped].strip().strip('"').lower().startswith("sep="):
        separator = lines[skipped].strip().strip('"')[4:] or ","
        separator = "\t" if separator in ("\\t", "tab") else separator
        skipped += 1
    if skipped >= len(lines) or not lines[skipped].strip():
        raise UnreadableFileError(
            f"{name}: expected a header line, found an empty file; write the file again"
        )
    skipped += _title_lines(lines[skipped:][:_LOOKED_AT])
    body = lines[skipped:]
    if body[0].lstrip().startswith(("<", "PK\x03\x04")):
        raise UnreadableFileError(
            f"{name}: expected a table of text with a header line, found {body[0].strip()[:40]!r}; save it as CSV"
        )
    separator = separator or _separator(body[:_LOOKED_AT])
    quote = "'" if body[0].startswith("'") and f"'{separator}'" in body[0] else '"'
    sample = "\n".join(body[:_LOOKED_AT])
    escape = "\\" if _escapes_by_backslash(sample, quote, separator) else None
    blanks = bool(re.search(f"{re.escape(separator)} +{quote}", sample)) and separator != " "
    reader = csv.reader(
        io.StringIO(sample), delimiter=separator, quotechar=quote, escapechar=escape, skipinitialspace=blanks
    )
    try:
        fields = next(reader)
        count = max(reader.line_num, 1)
        rows = [row for row in reader if row]
    except (csv.Error, StopIteration):
        fields, count, rows = body[0].split(separator), 1, []
    names = _for_all_fields([_decoded(field) for field in fields], rows[:-1] or rows)
    return Layout(names, separator, quote, skipped + count, escape, blanks)


def _title_lines(lines: list[str]) -> int:
    """Lines before the header: those with far fewer fields than the rows below, or with one that is filled."""
    lines = lines[:-1] if len(lines) == _LOOKED_AT else lines
    widths = {s: [_fields(line, s) for line in lines if line.strip()] for s in _SEPARATORS}
    # The most frequent number of fields by a separator, if most lines have it.
    usual = {s: Counter(w[-50:]).most_common(1)[0] for s, w in widths.items() if w}
    fitting = {
        s: n for s, (n, times) in usual.items() if n > 2 and times > 0.5 * len(widths[s][-50:]) and times > 2
    }
    for at, line in enumerate(lines[:_MOST_TITLES]):
        for separator, fields in fitting.items():
            filled = sum(bool(f.strip(' "')) for f in line.split(separator))
            if _fields(line, separator) >= fields - 1 and filled > 1:
                return at
    return 0


def _escapes_by_backslash(sample: str, quote: str, separator: str) -> bool:
    """Whether quotes within a field stand after a backslash, as Spark writes them, and no backslash means else."""
    within = re.search(rf"\\{quote}(?!{re.escape(separator)}|\n|$)", sample)
    return bool(within) and not re.search(rf"\\[^{quote}\\]", sample)


def _for_all_fields(names: list[str], rows: list[list[str]]) -> list[str]:
    """The header for rows of one field more: an empty last one (a separator at the end), or a number first (R)."""
    if len(rows) < 2 or any(len(row) != len(names) + 1 for row in rows):
        return names
    if all(not row[-1].strip() for row in rows):
        return [*names, ""]
    return ["", *names] if all(row[0].isdigit() for row in rows) else names


def _decoded(field: str) -> str:
    content = field.encode("latin-1")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _fields(line: str, separator: str) -> int:
    return "".join(line.split("'" if line.startswith("'") else '"')[::2]).count(separator) + 1


def _separator(lines: list[str]) -> str:
    """The separator that divides the header and most lines into equally many fields, the most of them."""
    lines = [line for line in lines[:-1] or lines if line.strip()]

    def score(separator: str) -> tuple[float, int]:
        counts = [_fields(line, separator) for line in lines]
        agree = Counter(counts)[counts[0]] / len(counts)
        return (agree if counts[0] > 1 else -1.0, counts[0])

    best = max(_SEPARATORS, key=score)
    plain = [s for s in _SEPARATORS if _fields(lines[0], s) > 1]
    return best if score(best)[0] > 0.5 or not plain else max(plain, key=lambda s: _fields(lines[0], s))
