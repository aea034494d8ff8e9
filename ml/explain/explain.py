"""Why the tokens of a collection have their prices: `explain`.

Here: the one entry point, and what it returns. Not here: each part's arithmetic (`ml.explain.index_parts`,
`ml.explain.model_parts`, `ml.explain.comparables`), drawing, or writing (`ml.explain.tables`).

Concept: the index's parts of all tokens come from one linear solve, the models' from one SHAP call each, so one token
costs nearly as much as ten thousand. The parts add up to the production prediction, and that is compared with the
estimate that was given: an explanation that does not explain the published number has a note about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.compute.matrix import column
from ml.explain.comparables import COMPARABLE_SCHEMA, comparable_rows, rank_comparables, read_sold, shortlist
from ml.explain.components import EXPLANATION_SCHEMA, component_rows, trait_log
from ml.explain.errors import ExplainError, UnknownNameError
from ml.explain.facts import read_facts, read_sales_known
from ml.explain.models_used import ModelsUsed, read_models_used
from ml.explain.token_parts import TokenView, price_tokens, read_token_features, token_parts
from ml.explain.track_record import TrackRecord, track_record
from ml.explain.traits import TokenTraits, read_traits
from ml.index.params import DEFAULT_PARAMS, IndexParams
from ml.models.frames import FeatureSet
from ml.registry.artifacts import ArtifactStore
from ml.states import NoValue, Tier
from ml.text.times import utc_second

Float = npt.NDArray[np.float64]

SAME_ESTIMATE = 1e-6
"""Largest relative difference of explained and stored estimate that rounding can explain."""


@dataclass(frozen=True)
class Explanations:
    """Explained tokens of one collection.

    Attributes:
        collection: Whose.
        chain: Where it trades.
        tokens: One row per token: the facts of `ml.explain.facts.read_facts`, `explained_eth` (null without a value),
            `explained_reason` (why the models behind the explanation give it none, or null),
            `last_sale_indexed_eth` (its last price moved by the level since) and `rarity_pct`.
        components: Rows of `EXPLANATION_SCHEMA`; none for tokens without a value.
        comparables: Rows of `COMPARABLE_SCHEMA`, ranked; none for tokens without a value.
        used: The models behind the prices.
        record: Their track record in this collection, or None.
        as_of: Time that is explained (UTC), None without features.
        watermark: `known_at` of the newest sale that the features include (UTC).
        last_sale_at: The collection's newest sale.
        sales: Arm's-length sales known.
        consistent: Whether every explained estimate equals the stored one.
        notes: What a reader must know about the state of affairs, as sentences.
    """

    collection: str
    chain: str
    tokens: pa.Table
    components: pa.Table
    comparables: pa.Table
    used: ModelsUsed
    record: TrackRecord | None
    as_of: datetime | None
    watermark: datetime | None
    last_sale_at: datetime | None
    sales: int
    consistent: bool
    notes: tuple[str, ...]


def explain(
    con: duckdb.DuckDBPyConnection,
    artifacts: ArtifactStore,
    collection: str,
    tokens: Sequence[str] | None = None,
    k: int = 5,
    features: FeatureSet | None = None,
    params: IndexParams = DEFAULT_PARAMS,
    threads: int = 2,
) -> Explanations:
    """Explain the prices of some or all tokens of a collection.

    Args:
        con: A read connection of the lake.
        artifacts: Where model files are.
        collection: Whose tokens.
        tokens: Token ids; all tokens when None.
        k: Comparable sales per token.
        features: Features to use; those declared now when None.
        params: Parameters of the index.
        threads: CatBoost threads.

    Returns:
        The explanations, tokens sorted by id.

    Raises:
        ExplainError: When nothing was built yet.
        UnknownNameError: When there is no such collection or token.
        PriorForgottenError: When the estimates' prior is gone from the lake.
        FeatureMismatchError: When the estimates were made on other features than the code declares.
        ArtifactLostError: When a model's file is missing or damaged.
    """
    features = features or FeatureSet.declared()
    chain = _chain(con, collection)
    traits = read_traits(con, collection, params)
    chosen = _positions(tokens, traits, collection)
    used = read_models_used(con, artifacts, collection, features)
    table = read_token_features(con, collection, features)
    as_of = table["as_of"][0].as_py() if table.num_rows else None
    watermark = table["state_known_at"][0].as_py() if table.num_rows else None
    low_price_eth, last_sale_at, sales = read_sales_known(con, collection, as_of)
    floor_log = np.log(low_price_eth) if low_price_eth else np.nan
    facts = read_facts(con, collection, as_of).take(pa.array(chosen))
    components, similar = EXPLANATION_SCHEMA.empty_table(), COMPARABLE_SCHEMA.empty_table()
    explained, level_now, notes = np.full(len(chosen), np.nan), None, list(used.notes)
    reasons = np.full(len(chosen), None, dtype=object)
    if as_of is not None and used.tier != Tier.NONE:
        view = TokenView(traits.subset(traits.positions(table["token_id"].combine_chunks())), table)
        level_now = float(np.median(view.level_log))
        explained_rows, at = _explainable(facts, view)
    if as_of is not None and level_now is not None and len(at):
        sold = read_sold(con, collection, view.prefix, as_of, view.traits)
        listed = shortlist(at, sold, view.traits, params)
        compared = np.union1d(at, sold.position[listed.sale])
        inputs, prices = price_tokens(collection, used, view, compared, floor_log, features, threads)
        parts, split = token_parts(
            con, collection, used, view, compared, inputs, prices, features, params, threads
        )
        if not split:
            notes.append(
                "The index has moved on since these features: traits are shown as one. Run `assay run`."
            )
        wanted = np.searchsorted(compared, at)
        explained[explained_rows] = prices.eth()["estimate_eth"][wanted]
        reasons[explained_rows] = prices.reason[wanted]
        valued = prices.valued[wanted]
        at, wanted, listed = at[valued], wanted[valued], listed.of_tokens(valued)
        notes += [f"The own model cannot be used: {reason}" for reason in prices.refused.values()]
        components = component_rows(
            parts, wanted, collection, view.traits.token_id.take(pa.array(at)), as_of, used.model_version
        )
        worth = np.zeros(len(view.traits))
        worth[compared] = trait_log(parts)
        pairs = rank_comparables(listed, sold, worth, k)
        similar = comparable_rows(collection, as_of, pairs, sold, view.traits.token_id, view.level_log, worth)
    consistent, more = _compare(facts, explained, as_of, watermark)
    return Explanations(
        collection=collection,
        chain=chain,
        tokens=_with_explained(facts, explained, reasons, level_now, traits.rarity_pct[chosen]),
        components=components,
        comparables=similar,
        used=used,
        record=track_record(con, collection),
        as_of=as_of,
        watermark=watermark,
        last_sale_at=last_sale_at,
        sales=sales,
        consistent=consistent,
        notes=(*notes, *more),
    )


def _chain(con: duckdb.DuckDBPyConnection, collection: str) -> str:
    known = dict(con.execute('select collection, "chain" from marts.dim_collections').fetchall())
    if not known:
        raise ExplainError(
            "expected a home with collections, found none: nothing was built; `assay run` does it"
        )
    if collection not in known:
        raise UnknownNameError("collection", collection, list(known), "this home")
    return str(known[collection])


def _positions(tokens: Sequence[str] | None, traits: TokenTraits, collection: str) -> npt.NDArray[np.int64]:
    if tokens is None:
        return np.arange(len(traits))
    where = pc.index_in(pa.array(tokens, pa.string()), traits.token_id)
    for name, found in zip(tokens, where.to_pylist(), strict=True):
        if found is None:
            raise UnknownNameError("token", name, traits.token_id.to_pylist(), collection)
    return np.unique(where.to_numpy())


def _explainable(facts: pa.Table, view: TokenView) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the facts whose price can be explained, and the positions of their tokens in the view.

    Not a token without features, and not one that scoring has found to be worth what no token can be worth.
    """
    found = pc.index_in(facts["token_id"].combine_chunks(), view.traits.token_id)
    known = found.is_valid().to_numpy(zero_copy_only=False)
    implausible = pc.equal(facts["no_value_reason"].combine_chunks(), str(NoValue.IMPLAUSIBLE)).fill_null(
        False
    )
    rows = np.flatnonzero(known & ~implausible.to_numpy(zero_copy_only=False))
    return rows, found.take(pa.array(rows)).to_numpy().astype(np.int64)


def _compare(
    facts: pa.Table, explained: Float, as_of: datetime | None, watermark: datetime | None
) -> tuple[bool, list[str]]:
    """Whether stored and explained estimates agree, and a sentence for readers where they do not."""
    stored = column(facts, "estimate_eth")
    both = np.isfinite(stored) & np.isfinite(explained)
    if not both.any():
        return not np.isfinite(stored).any(), []
    stored_as_of, stored_watermark = (
        facts[name].filter(pa.array(both))[0].as_py() for name in ("as_of", "feature_watermark")
    )
    if (stored_as_of, stored_watermark) != (as_of, watermark):
        return False, [
            f"The stored estimates are for {utc_second(stored_as_of)} (sales known until "
            f"{utc_second(stored_watermark)}); the features are for {utc_second(as_of)} (sales known until "
            f"{utc_second(watermark)}), which is what is explained. Run `assay run` to value again."
        ]
    apart = float(np.abs(explained[both] / stored[both] - 1.0).max())
    if apart > SAME_ESTIMATE:
        return False, [
            f"What is explained differs from the stored estimates by up to {apart:.2%}: the models changed."
        ]
    return True, []


def _with_explained(
    facts: pa.Table,
    explained: Float,
    reasons: npt.NDArray[np.object_],
    level_now: float | None,
    rarity: Float,
) -> pa.Table:
    level_then = column(facts, "last_sale_level")
    moved = np.exp(level_now - level_then) if level_now is not None else np.full(len(explained), np.nan)
    indexed = column(facts, "last_sale_eth") * moved
    for name, values in (
        ("explained_eth", explained),
        ("last_sale_indexed_eth", indexed),
        ("rarity_pct", rarity),
    ):
        facts = facts.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return facts.append_column("explained_reason", pa.array(reasons, pa.string()))
