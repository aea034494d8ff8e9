"""Schema `features`: the index and the features, both computed from the marts.

Here: columns. Not here: what a feature means (`ml.features.schema`, from which its columns come).
"""

from __future__ import annotations

from dataclasses import replace

from lake.tables import Column, ColumnRule, Table, columns
from ml.features.schema import FEATURES

HEDONIC_INDEX = Table(
    "features.hedonic_index",
    "One row per arm's-length sale: both variants of the index one step ahead of it, and the noises used, so that a "
    "restart needs no replay. `a_mean` is null until three sales are visible.",
    ("sale_id",),
    "per collection, from the first changed `seq` on",
    columns("""
        sale_id varchar Sale (marts.fct_sales)
        collection varchar Collection
        token_id varchar Token within the collection
        seq bigint Position in the collection's known order, from 1
        known_at timestamp When the sale became known
        as_of timestamp Start of the sale's uncertainty; only what was known before is used
        prefix bigint Sales of the collection visible to it: the first so many in known order
        a_mean double Fast index: value of the token, ln ETH; like all parts null until 3 sales are visible
        a_level double Fast index: level of the collection, ln ETH
        a_trait double Fast index: part of the traits, ln
        a_token double Fast index: part of the token itself, ln
        a_sd double Fast index: standard deviation of the value, ln
        a_level_sd double Fast index: standard deviation of the level, ln
        b_mean double Slow index: value of the token, ln ETH
        b_level double Slow index: level of the collection, ln ETH
        b_trait double Slow index: part of the traits, ln
        b_token double Slow index: part of the token itself, ln
        b_sd double Slow index: standard deviation of the value, ln
        b_level_sd double Slow index: standard deviation of the level, ln
        log_price double Price of the sale, ln ETH
        innovation_a double log_price - a_mean, the surprise, ln; null without an index
        noise_a double Variance of this sale around its value in the fast index, ln²
        noise_b double Variance of this sale around its value in the slow index, ln²
        row_hash ubigint Hash of the sale it was computed from
    """),
    derived=True,
    state=("features.index_state",),
)

TOKEN_INDEX = Table(
    "features.token_index",
    "One row per token of a collection with at least three sales: the index at the collection's last state, with what "
    "moves it to a later time.",
    ("collection", "token_id"),
    "per collection",
    columns("""
        collection varchar Collection
        token_id varchar Token within the collection
        state_seq bigint Newest sale in the state (position in the known order)
        state_known_at timestamp When that sale became known
        a_mean float Fast index: value of the token, ln ETH
        a_level float Fast index: level of the collection, ln ETH
        a_trait float Fast index: part of the traits, ln
        a_token float Fast index: part of the token itself, ln
        a_sd float Fast index: standard deviation of the value, ln
        a_level_sd float Fast index: standard deviation of the level, ln
        b_mean float Slow index: value of the token, ln ETH
        b_level float Slow index: level of the collection, ln ETH
        b_trait float Slow index: part of the traits, ln
        b_token float Slow index: part of the token itself, ln
        b_level_sd float Slow index: standard deviation of the level, ln
        a_history_cross float Covariance of the token's part with the level, ln²: moves a_sd with time
        a_history_square float Square of the token's past in the level, ln²: moves a_sd with time
    """),
    derived=True,
    state=("features.index_state",),
)

INDEX_STATE = Table(
    "features.index_state",
    "One row per collection with an index: up to where it is computed and from what. What differs is computed again.",
    ("collection",),
    "per collection",
    columns("""
        collection varchar Collection
        state_seq bigint Sales computed, the first so many in known order
        state_known_at timestamp When the newest of them became known
        sales_hash ubigint Hash of all its sales
        traits_hash ubigint Hash of the traits of its tokens
        params_fingerprint varchar Parameters of the index
        anchor_log double Median of the first sales, which anchors the level, ln ETH
    """),
    derived=True,
)

FEATURE_STATE = Table(
    "features.feature_state",
    "One row per spine (sale, token) and collection: from what its features were computed.",
    ("spine", "collection"),
    "per spine and collection",
    columns("""
        spine varchar sale (rows of sale_features) or token (rows of token_features)
        collection varchar Collection
        sales_hash ubigint Hash of its sales (features.index_state)
        traits_hash ubigint Hash of the traits of its tokens (features.index_state)
        fingerprint varchar Features they were computed as (ml.features.schema)
    """),
    derived=True,
)

_BASE = Column("base_log", "double", "Index mean: what the gaps are relative to, ln ETH")
# ln ETH between which a base and a target are believable: 1e-8 to 1e8 ETH.
_LOG_ETH_BOUND = 18.5
_BASE_RULE = ColumnRule("base_log", True, (), -_LOG_ETH_BOUND, _LOG_ETH_BOUND)
_RULES = (*(ColumnRule(f.name, not f.nullable, (), f.low, f.high) for f in FEATURES), _BASE_RULE)
_FEATURES = tuple(Column(f.name, f.dtype.lower(), f.description) for f in FEATURES)

SALE_KEYS = columns("""
    sale_id varchar Sale (marts.fct_sales)
    collection varchar Collection
    token_id varchar Token within the collection
    seq bigint Position in the collection's known order
    known_at timestamp When the sale became known
    as_of timestamp Only what was known before it is used
    prefix bigint Sales of the collection visible to it: the first so many in known order
    row_hash ubigint Hash of the sale it was computed from
    target_log double Price of the sale, ln ETH: what models learn
""")

SALE_FEATURES = Table(
    "features.sale_features",
    "One row per arm's-length sale with an index: keys, every feature, and the target. A feature is null where nothing "
    "was known.",
    ("sale_id",),
    "per collection, from the first changed `seq` on",
    (*SALE_KEYS, _BASE, *_FEATURES),
    derived=True,
    state=("features.feature_state",),
    state_rows="spine = 'sale'",
    rules=(*_RULES, replace(_BASE_RULE, name="target_log")),
)

TOKEN_KEYS = columns("""
    collection varchar Collection
    token_id varchar Token within the collection
    as_of timestamp Time of scoring, or the end of what the collection's sources cover if that is earlier
    prefix bigint Sales of the collection that were used
    state_known_at timestamp When the newest of them became known
""")

TOKEN_FEATURES = Table(
    "features.token_features",
    "One row per token of a collection with an index, as of the collection's own time "
    "([ADR 9](adr/0009-valuation-time.md)): keys and every feature; built again for what changed, at least every "
    "7 days of what the sources cover. A feature is null where nothing was known.",
    ("collection", "token_id"),
    "per collection",
    (*TOKEN_KEYS, _BASE, *_FEATURES),
    derived=True,
    state=("features.feature_state",),
    state_rows="spine = 'token'",
    rules=_RULES,
)

TABLES = (HEDONIC_INDEX, TOKEN_INDEX, INDEX_STATE, FEATURE_STATE, SALE_FEATURES, TOKEN_FEATURES)
