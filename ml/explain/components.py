"""The parts an estimate is made of, and what they are worth in price terms.

Here: the names of components, how a log effect becomes a factor and an amount of ETH, and the form of a row.
Not here: where effects come from (`index_parts`, `model_parts`).

Concept: ln estimate = level + effects, exactly. An effect e is the factor exp(e) whatever else there is. Its share in
ETH depends on the order of multiplication unless every effect is paid at the same rate: the logarithmic mean of the
level and the estimate (LMDI-I: Ang, Energy Policy 32, 2004). Then the amounts add up to the estimate without a
remainder, and summing up small effects as "the rest" changes no other line.
"""

from __future__ import annotations

from dataclasses import dataclass

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
LOCAL_NUMBERS = "own_model_numbers"
LOCAL_TRAIT = "own_model_trait"
"""Names of components: what `predictions.explanations.component` may hold."""

GROUP_LABELS = {
    "index": "Market model: how the fast and the slow index differ here",
    "market_state": "Market model: prices of the last 5 to 100 sales",
    "recent_sales": "Market model: the very last sales, with these traits",
    "surprise": "Market model: sales above or below the index lately",
    "market": "Market model: pace and age of trade",
    "token": "Market model: what this token sold for",
    "rarity": "Market model: rarity",
    "listings": "Market model: asks and bids",
}
"""Feature group of the schema to what an owner reads; a group without an entry is shown by its name."""


@dataclass(frozen=True)
class Part:
    """One component of every explained token.

    Attributes:
        component: One of the names above; `pooled_<feature group>` for the market model.
        labels: What an owner reads, one per token.
        log_effect: In ln ETH for the level, in log units for the others, shape (tokens,).
        per_trait: Whether it stands for one trait of the token; only those are summed up as "the rest".
    """

    component: str
    labels: list[str]
    log_effect: Float
    per_trait: bool = False

    @classmethod
    def shared(cls, component: str, label: str, log_effect: Float) -> Part:
        """A part with the same label for every token."""
        return cls(component, [label] * len(log_effect), np.asarray(log_effect, np.float64))

    def rows(self, chosen: npt.NDArray[np.int64]) -> Part:
        """The same for some of the tokens."""
        labels = [self.labels[row] for row in chosen]
        return Part(self.component, labels, self.log_effect[chosen], self.per_trait)


def group_label(group: str) -> str:
    """What an owner reads for a feature group."""
    return GROUP_LABELS.get(group, f"Market model: {group.replace('_', ' ')}")


def total_log(parts: list[Part]) -> Float:
    """ln estimate: the sum of all parts, shape (tokens,)."""
    return np.sum([part.log_effect for part in parts], axis=0)


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
    parts: list[Part], collection: str, token_id: pa.Array, as_of: pa.Array, model_version: pa.Array
) -> pa.Table:
    """Rows of `EXPLANATION_SCHEMA`, by token and position; a label of "" (no such trait) leaves no row.

    Args:
        parts: The level first; all of one length.
        collection: Whose tokens.
        token_id: Of each token.
        as_of: Of each token.
        model_version: Of each token, null where the index speaks without a model.
    """
    tokens, width = len(token_id), len(parts)
    effects = np.stack([part.log_effect for part in parts], axis=1)
    rate = eth_rate(effects[:, 0], effects.sum(axis=1))
    amounts = effects * rate[:, None]
    amounts[:, 0] = np.exp(effects[:, 0])
    token = np.repeat(np.arange(tokens), width)
    labels = np.array([part.labels for part in parts], dtype=object).T.ravel()
    table = pa.table(
        {
            "collection": pa.array([collection], pa.string()).take(pa.array(np.zeros(tokens * width, np.int64))),
            "token_id": token_id.take(pa.array(token)),
            "as_of": as_of.take(pa.array(token)),
            "model_version": model_version.take(pa.array(token)),
            "position": np.tile(np.arange(width), tokens),
            "component": pa.array([part.component for part in parts]).take(
                pa.array(np.tile(np.arange(width), tokens))
            ),
            "label": pa.array(labels, pa.string()),
            "log_effect": effects.ravel(),
            "eth_effect": amounts.ravel(),
        }
    ).cast(EXPLANATION_SCHEMA)
    return table.filter(pa.array(labels != ""))
