"""Columns of tables whose rows hold several facts: one for each trait or currency, or a list of attributes in a cell.

Here: recognising such columns. Not here: one row for each fact (`sources.files.long_rows`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sources.currencies import SYMBOL_BY_SPELLING
from sources.files.aliases import TABLES

_ATTRIBUTES = (
    re.compile(r"(.*_)?(attributes|traits)(_json|_list)?"),
    re.compile(r"(.*_)?metadata(_json|_raw)?|properties"),
)
"""Columns that hold a list of attributes, or a token's whole metadata, best first."""

_WIDE = re.compile(r"(?:traits?|attributes?|attrs?|properties)[_.: /-]+(.+)", re.IGNORECASE)
_NO_TRAIT = re.compile(
    r"unnamed_?\d*|index|level_\d+|id|name|nft_name|title|description|symbol|standard|schema(_name)?|source|dna|edition"
    r"|compiler|background_color|(.*_)?(image|uri|url|link|hash|address|owner|rank|score|rarity|count|total|price|volume"
    r"|supply|animation|external|media|block|date|time|timestamp|at)(_.*)?"
)


def attributes_column(plain: Mapping[str, str]) -> str | None:
    """The column that holds lists of attributes, of plain names → columns."""
    return next((plain[n] for kind in _ATTRIBUTES for n in plain if kind.fullmatch(n)), None)


def prefixed_columns(plain: Mapping[str, str]) -> dict[str, str]:
    """Columns such as `trait_Hat` or `attributes.Hat` → trait."""
    aliases = TABLES["token_traits"].aliases
    known = {n for names in aliases.values() for n in names} | {"trait_count", "attribute_count"}
    found = {c: _WIDE.fullmatch(c.strip()) for n, c in plain.items() if n not in known}
    return {
        c: m[1] for c, m in found.items() if m and not re.fullmatch(r"types?|values?|counts?", m[1].lower())
    }


def trait_columns(plain: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Columns that are a trait each, in a table of traits → trait; those with a prefix only, where there are such."""
    if prefixed := prefixed_columns(plain):
        return prefixed
    return {c: c for n, c in plain.items() if c not in taken and n and not _NO_TRAIT.fullmatch(n)}


def rate_columns(plain: Mapping[str, str]) -> dict[str, str]:
    """Columns such as `ETH`, `eth_usd` or `price_eth` in a table of rates → symbol."""
    found = {}
    for name, column in plain.items():
        word = re.sub(r"^(price|rate|close)_|_(usd|usdt|price|rate|close)$", "", name).upper()
        if SYMBOL_BY_SPELLING.get(word, "USD") != "USD":
            found[column] = SYMBOL_BY_SPELLING[word]
    return found
