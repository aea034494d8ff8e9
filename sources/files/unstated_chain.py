"""The chain of a file that does not say it, where its ids or contracts can be of one chain only.

Here: the mints of Solana and the contracts of Tezos. Not here: chains that a row states (`sources.values`).
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from sources.files.plan import Plan
from sources.values import is_text

_BASE58 = r"^[1-9A-HJ-NP-Za-km-z]{32,44}$"
_KINDS = (
    ("solana", "token_id", _BASE58, "ids are mints of Solana: chain solana"),
    ("tezos", "contract", r"^KT1[1-9A-HJ-NP-Za-km-z]{33}$", "contracts are of Tezos: chain tezos"),
)


def with_chain(plan: Plan, rows: pa.Table) -> tuple[Plan, tuple[str, ...]]:
    """The plan with the chain that all ids, or contracts, of the file can only be of; and a word on it."""
    if "chain" in plan.columns or "chain" in plan.constants:
        return plan, ()
    for chain, role, pattern, note in _KINDS:
        if role in plan.columns and _all_are(rows.column(plan.columns[role]), pattern):
            return replace(plan, constants={**plan.constants, "chain": chain}), (note,)
    return plan, ()


def _all_are(column: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all values are such; an address of upper and lower case letters is never a number or hex."""
    if not is_text(column.type) or not len(column):
        return False
    values = column.drop_null()
    # The first rows decide it for nearly all files.
    for part in (values.slice(0, 100), values):
        fits = pc.match_substring_regex(pc.utf8_trim_whitespace(part), pattern)
        mixed = pc.and_(pc.match_substring_regex(part, "[G-Z]"), pc.match_substring_regex(part, "[g-z]"))
        if not len(part) or not pc.all(pc.and_(fits, mixed)).as_py():
            return False
    return True
