"""The parts an estimate is made of, and what they are worth in price terms.

Here: the names of components, how a log effect becomes a factor and an amount of ETH, and the form of a row.
Not here: where effects come from (`ml.explain.index_parts`, `ml.explain.model_parts`).

Concept: ln estimate = level + effects, exactly. An effect e is the factor exp(e) whatever else there is. Its share in
ETH depends on the order of multiplication unless every effect is paid at the same rate: the logarithmic mean of the
level and the estimate (LMDI-I: Ang, Energy Policy 32, 2004). Then the amounts add up to the estimate without a
remainder, and summing up small effects as "the rest" changes no other line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Float = npt.NDArray[np.float64]

LEVEL = "index_level"
INDEX_TRAIT = "index_trait"
OWN_HISTORY = "own_history"
RARITY = "rarity"
POOLED_AVERAGE = "pooled_average"
POOLED_PREFIX = "pooled_"
LOCAL_AVERAGE = "own_model_average"
LOCAL_PREFIX = "own_model_"
LOCAL_TRAIT = "own_model_trait"
"""Names of components: what `predictions.explanations.component` may hold."""

SIMILAR_TRAITS = "similar_traits"
"""Group of the features that show what tokens with these traits fetched; the schema has them under index."""

TRAIT_COMPONENTS = frozenset(
    {INDEX_TRAIT, RARITY, LOCAL_TRAIT}
    | {
        prefix + group
        for prefix in (POOLED_PREFIX, LOCAL_PREFIX)
        for group in (SIMILAR_TRAITS, RARITY, "trait_residuals")
    }
)
"""Components that a token owes to its traits alone: by these two tokens are compared."""

GROUP_LABELS = {
    "index": "the slower price index, and how sure both are",
    SIMILAR_TRAITS: "what tokens with such traits fetched",
    "market_state": "prices of the last 5 to 100 sales",
    "recent_sales": "the very last sales, with these traits",
    "surprise": "sales above or below the index lately",
    "market": "pace and age of trade",
    "token": "what this token itself sold for",
    "owner": "how its owner has bought and sold",
    "rarity": "rarity",
    "trait_residuals": "what these traits fetched above the index",
    "listings": "asks and bids",
}
"""Feature group of the schema to what an owner reads; a group without an entry is shown by its name."""


@dataclass(frozen=True)
class Part:
    """One component of every explained token.

    Attributes:
        component: One of the names above; `pooled_<feature group>` for the market model.
        labels: What an owner reads, one per token.
        log_effect: In ln ETH for the level, in log units for the others, shape (tokens,).
    """

    component: str
    labels: list[str]
    log_effect: Float

    @classmethod
    def shared(cls, component: str, label: str, log_effect: Float) -> Part:
        """A part with the same label for every token."""
        return cls(component, [label] * len(log_effect), np.asarray(log_effect, np.float64))


def group_label(group: str) -> str:
    """What an owner reads for a feature group."""
    return GROUP_LABELS.get(group, group.replace("_", " "))


def trait_log(parts: list[Part]) -> Float:
    """What the tokens' traits are worth in all models together, log units, shape (tokens,)."""
    effects = [part.log_effect for part in parts if part.component in TRAIT_COMPONENTS]
    return np.sum(effects, axis=0) if effects else np.zeros_like(parts[0].log_effect)


def eth_rate(level_log: Float, estimate_log: Float) -> Float:
    """ETH per unit of log effect: the logarithmic mean of level and estimate, shape (n,)."""
    gap = np.asarray(estimate_log - level_log, np.float64)
    small = np.abs(gap) < 1e-12
    safe = np.where(small, 1.0, gap)
    return np.exp(level_log) * np.where(small, 1.0, np.expm1(gap) / safe)


EXPLANATION_SCHEMA = pa.schema(
    [
        ("collection", pa.string()),
        ("token_id", pa.string()),
        ("as_of", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("position", pa.int64()),
        ("component", pa.string()),
        ("label", pa.string()),
        ("log_effect", pa.float64()),
        ("eth_effect", pa.float64()),
    ]
)


def component_rows(
    parts: list[Part],
    rows: npt.NDArray[np.int64],
    collection: str,
    token_id: pa.Array,
    as_of: datetime,
    model_version: str | None,
) -> pa.Table:
    """Rows of `EXPLANATION_SCHEMA`, by token and position; a label of "" (no such trait) leaves no row.

    Args:
        parts: The level first; all of one length.
        rows: Which of the tokens behind the parts are wanted.
        collection: Whose tokens.
        token_id: Ids of the tokens wanted.
        as_of: Time that is explained.
        model_version: Model version of the estimates, None before any scoring.
    """
    tokens, width = len(rows), len(parts)
    effects = np.stack([part.log_effect[rows] for part in parts], axis=1)
    rate = eth_rate(effects[:, 0], effects.sum(axis=1))
    amounts = effects * rate[:, None]
    amounts[:, 0] = np.exp(effects[:, 0])
    labels = np.array([part.labels for part in parts], dtype=object)[:, rows].T.ravel()
    position = np.tile(np.arange(width), tokens)
    table = pa.table(
        {
            "collection": pa.repeat(collection, tokens * width),
            "token_id": token_id.take(pa.array(np.repeat(np.arange(tokens), width))),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("us")), tokens * width),
            "model_version": pa.repeat(pa.scalar(model_version, pa.string()), tokens * width),
            "position": position,
            "component": pa.array([part.component for part in parts]).take(pa.array(position)),
            "label": pa.array(labels, pa.string()),
            "log_effect": effects.ravel(),
            "eth_effect": amounts.ravel(),
        }
    ).cast(EXPLANATION_SCHEMA)
    return table.filter(pa.array(labels != ""))
