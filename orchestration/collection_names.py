"""Which collection a user means: its name, its contract, or its name in lower case with dashes.

Here: from what was typed to the key of a collection. Not here: how a key is given (`sources.files.identity`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lake.bound import execute_bound
from ml.text.visible import visible
from orchestration.errors import HomeError

if TYPE_CHECKING:
    import duckdb

_SHOWN = 5
_SLUG = r"trim(regexp_replace(lower({}), '[^\p{{L}}\p{{N}}]+', '-', 'g'), '-')"
_KEYS = "select collection from marts.dim_collections where collection in (select unnest($given))"
_MATCHES = f"""
select collection, chain, contract from marts.dim_collections
where lower(contract) = lower($given) or lower(chain || ':' || contract) = lower($given) or name = $given
    or {_SLUG.format("collection")} = {_SLUG.format("$given::varchar")}
    or {_SLUG.format("name")} = {_SLUG.format("$given::varchar")}
order by collection
"""


def resolve_collection(con: duckdb.DuckDBPyConnection, given: str) -> str:
    """The key of the collection that a user means.

    Args:
        con: A reading connection.
        given: Key, contract address, `chain:contract`, display name or slug. A key wins over all others.

    Raises:
        HomeError: There is no such collection, or there are several: the message lists them.
    """
    (key,) = resolve_collections(con, [given])
    return key


def resolve_collections(con: duckdb.DuckDBPyConnection, given: Sequence[str]) -> list[str]:
    """The keys of several collections, each once, in the order given.

    Raises:
        HomeError: See `resolve_collection`; for the first that cannot be resolved.
    """
    if not given:
        return []
    keys = {row[0] for row in execute_bound(con, _KEYS, {"given": list(given)}).fetchall()}
    return list(dict.fromkeys(name if name in keys else _other_name(con, name) for name in given))


def _other_name(con: duckdb.DuckDBPyConnection, given: str) -> str:
    """The key of the collection that has this name, contract or slug."""
    found = execute_bound(con, _MATCHES, {"given": given}).fetchall()
    if len(found) == 1:
        return str(found[0][0])
    if found:
        choices = "; ".join(
            f"{visible(key)} ({chain}, {contract or 'no contract'})"
            for key, chain, contract in found[:_SHOWN]
        )
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise HomeError(
            f"expected one collection, found {len(found)} for {visible(given)}: {choices}{more}. Give one of"
            " these names."
        )
    known = [
        row[0] for row in con.execute("select collection from marts.dim_collections order by 1").fetchall()
    ]
    if not known:
        raise HomeError("this home has no collections yet: nothing was built. Run `assay run` first.")
    close = difflib.get_close_matches(given, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(map(visible, close))}?" if close else f"there are {len(known)}"
    raise HomeError(f"there is no collection {visible(given)} in this home; {hint}")
