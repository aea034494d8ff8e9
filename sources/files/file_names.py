"""What the name of a file, or of a folder that it is in, says about its rows.

Here: the table, the source, the currency and the side. Not here: what the columns say (`sources.files.recognition`).
"""

from __future__ import annotations

import re
from fnmatch import fnmatch

from sources.currencies import SYMBOL_BY_SPELLING
from sources.files.aliases import FILE_PATTERNS, FILE_WORDS
from sources.files.reading.discovery import DataFile, plain_stem


def named_table(file: DataFile) -> str | None:
    """The table that a file's name, or a folder's, says it is meant for."""
    for stem in file.stems:
        for pattern, table in FILE_PATTERNS:
            if fnmatch(stem.lower(), pattern):
                return table
    return None


def hinted_tables(file: DataFile) -> set[str]:
    """Tables that a word in the names makes likelier."""
    words = {word for stem in file.stems for word in re.split(r"[^a-z]+", stem.lower())}
    return {FILE_WORDS[w] for w in words if w in FILE_WORDS}


def source_of(file: DataFile) -> str:
    """The source of the rows of a file: the file, or the folder that a table was written to in parts."""
    parts = file.name.split("/")
    folder = next((p for p in parts[:-1] if plain_stem(p) != p), None)
    hive = next((i for i, p in enumerate(parts[:-1]) if "=" in p), None)
    if folder is None and hive is not None and hive > 0:
        folder = parts[hive - 1]
    return f"files:{plain_stem(folder or parts[-1])}"


def symbol_of(file: DataFile) -> str | None:
    """The one currency that a file's name names, for prices without a column of symbols."""
    # The last name that may be a file's: in a document the nearest are keys.
    stem = file.stems[min(file.key.count(".") + 1, len(file.stems) - 1) if file.key else 0]
    words = [w.upper() for w in re.split(r"[^A-Za-z0-9]+", stem)]
    # A pair is the price of its first half: ETHUSDT.
    words = [
        re.sub(r"^(.{2,})(USDT|USDC|USD)$", r"\1", w) if w not in SYMBOL_BY_SPELLING else w for w in words
    ]
    symbols = {SYMBOL_BY_SPELLING[w] for w in words if w in SYMBOL_BY_SPELLING} - {"USD"}
    return symbols.pop() if len(symbols) == 1 else None


def side_of(file: DataFile) -> str | None:
    """The side of all orders of a file that is called after it."""
    words = set(re.split(r"[^a-z]+", file.stems[0].lower()))
    if words & {"bid", "bids", "offer", "offers"}:
        return "bid"
    return "ask" if words & {"ask", "asks", "listing", "listings"} else None
