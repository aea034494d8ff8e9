"""The one query that turns a spine into features, for past sales and for tokens alike.

What is here: the joins. What is not: the features' formulas (`ml.features.schema`), which rows need computing
(`ml.features.build`).

The concept. A spine row is (collection, token_id, as_of, prefix, owner) with the index's outputs. ``prefix`` is
the number of the collection's sales it may see: known strictly before ``as_of`` and not of its own
transaction. Everything trailing is a *state after seq*, so "what was known" is an equality join on prefix,
the same one for past sales and current tokens; only what has no seq (counts over days, listings, the token's own sales)
is joined ASOF, strictly before.

Tables are in order of collection: with the first and the last name of the spine as constants, files and row groups of
other collections stay closed, where a join would read all of them for every chunk.
"""

from __future__ import annotations

import duckdb

from lake.storage import quoted
from ml.features.history import HISTORY_SUPPLIERS, LOOKBACK_SALES
from ml.features.listings import LAST_ASKS, LISTING_SUPPLIERS
from ml.features.owners import OWNER_SUPPLIERS
from ml.features.schema import FEATURES
from ml.features.trait_residuals import TRAIT_SUPPLIERS

#: Columns of a spine besides its keys.
SPINE_INDEX_COLUMNS = (
    "a_mean",
    "a_level",
    "a_trait",
    "a_token",
    "a_sd",
    "a_level_sd",
    "b_mean",
    "b_level",
    "b_trait",
    "b_token",
    "b_level_sd",
)

_SUPPLIERS = ",".join([HISTORY_SUPPLIERS, TRAIT_SUPPLIERS, OWNER_SUPPLIERS, LISTING_SUPPLIERS])

#: What the suppliers read, by the name under which they read the rows of the spine's collections.
_SOURCES = {
    "scoped_index": "features.hedonic_index",
    "scoped_sales": "marts.fct_sales",
    "scoped_states": "marts.fct_collection_state",
    "scoped_tokens": "marts.dim_tokens",
    "scoped_listings": "marts.fct_listings",
}


def feature_query(con: duckdb.DuckDBPyConnection, spine: str, keys: tuple[str, ...]) -> str:
    """SQL that selects ``keys`` of the spine table, ``base_log`` and every declared feature.

    Args:
        con: where the spine is; its collections are read from it.
        spine: table with collection, token_id, as_of, prefix, owner, the keys and the index; a_mean not null.
        keys: columns of the spine to pass through.
    """
    passed = ",\n    ".join(f"spine.{key}" for key in keys)
    computed = ",\n    ".join(f"cast({f.expression} as {f.dtype}) as {f.name}" for f in FEATURES)
    suppliers = _SUPPLIERS.format(spine=spine, lookback=LOOKBACK_SALES, last_asks=LAST_ASKS)
    # Left joins are taken in the order written. As inner joins they were reordered into products within a
    # collection (375 s instead of 30 s for 1.5 M sales), and a spine row without its state would vanish
    # instead of failing a check.
    return f"""
with {_sources(con, spine)},
{suppliers}
select
    {passed},
    spine.a_mean as base_log,
    {computed}
from {spine} as spine
left join scoped_states as state
    on spine.collection = state.collection and spine.prefix = state.seq
left join trail on spine.collection = trail.collection and spine.prefix = trail.seq
left join market
    on spine.collection = market.collection and spine.as_of = market.as_of and spine.prefix = market.prefix
left join scoped_tokens as traits
    on spine.collection = traits.collection and spine.token_id = traits.token_id
asof left join own
    on spine.collection = own.collection and spine.token_id = own.token_id and spine.prefix >= own.seq
left join trait_effects
    on spine.collection = trait_effects.collection
    and spine.token_id = trait_effects.token_id and spine.prefix = trait_effects.prefix
asof left join dealings
    on spine.collection = dealings.collection and spine.owner = dealings.wallet and spine.prefix >= dealings.seq
left join asking
    on spine.collection = asking.collection
    and spine.token_id = asking.token_id and spine.as_of = asking.as_of
asof left join bidding
    on spine.collection = bidding.collection and spine.as_of > bidding.known_at
"""


def _sources(con: duckdb.DuckDBPyConnection, spine: str) -> str:
    row = con.execute(f"select min(collection), max(collection) from {spine}").fetchone()
    first, last = row if row and row[0] is not None else ("", "")
    scope = f"where collection between {quoted(first)} and {quoted(last)}"
    return ",\n".join(
        f"{name} as not materialized (select * from {table} {scope})" for name, table in _SOURCES.items()
    )
