"""The hedonic index's estimate of every token, split over its trait values.

Here: the weights α of the sales that the index remembers, and each trait's share of the trait part. Not here: the
index itself (`ml.index`), which is only read.

Concept: the index's mean is a sum over remembered sales, Σ covariance(token, sale) · α with α = K⁻¹(y − y0). The fast
index's trait covariance is linear in the shared trait values, so its trait part is a sum over the token's traits, and
each trait has its own share: no approximation. Shares are relative to the average token of the collection, which for a
linear part is the same as its SHAP value; the average itself belongs to the level, so that the level reads as the price
of a typical token.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from ml.explain.components import INDEX_TRAIT, LEVEL, OWN_HISTORY, Part
from ml.explain.traits import TokenTraits
from ml.index.params import IndexParams

Float = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STATE_TOLERANCE = 1e-3
"""Largest |difference|, log units, between the split and the stored trait part that rounding can explain."""


@dataclass(frozen=True)
class Remembered:
    """The sales that a collection's last index state remembers; arrays of length n in known order.

    Attributes:
        position: Position of the sold token among the collection's tokens.
        seq: 1-based position in the known order.
        day: Days since the epoch.
        log_price: ln ETH.
        noise: Variance of each sale around its value.
        anchor_log: y0, the constant that the index is anchored on.
    """

    position: Integers
    seq: Integers
    day: Float
    log_price: Float
    noise: Float
    anchor_log: float


def read_remembered(
    con: duckdb.DuckDBPyConnection, collection: str, prefix: int, traits: TokenTraits, params: IndexParams
) -> Remembered | None:
    """The window of the state after `prefix` sales, or None when a sale's noise is not known (yet)."""
    rows = con.execute(
        """
        select i.token_id, i.seq, epoch_us(s.event_time) / 86400e6 as day, i.log_price, i.noise_a
        from features.hedonic_index as i
        inner join marts.fct_sales as s on i.sale_id = s.sale_id
        where i.collection = $1 and i.seq > $2 and i.seq <= $3
        order by i.seq
        """,
        [collection, params.window_start(prefix), prefix],
    ).to_arrow_table()
    anchor = con.execute(
        "select anchor_log from features.index_state where collection = $1", [collection]
    ).fetchone()
    noise = rows["noise_a"].to_numpy()
    if anchor is None or rows.num_rows == 0 or not np.isfinite(noise).all():
        return None
    return Remembered(
        traits.positions(rows["token_id"].combine_chunks()),
        rows["seq"].to_numpy(),
        rows["day"].to_numpy(),
        rows["log_price"].to_numpy(),
        noise,
        float(anchor[0]),
    )


def weights_of_sales(sales: Remembered, traits: TokenTraits, params: IndexParams) -> Float:
    """α of the fast index (see `ml.index.factor` for the covariance), shape (n,)."""
    fast = params.fast
    clock = fast.day_drift * sales.day + fast.trade_drift * sales.seq
    since = np.maximum(clock - clock[0], 0.0)
    sold = traits.one_hot()[sales.position]
    covariance = 1.0 + np.minimum.outer(since, since) + fast.trait_variance * (sold @ sold.T).toarray()
    same = np.equal.outer(sales.position, sales.position)
    apart = np.abs(np.subtract.outer(sales.day, sales.day))
    covariance += np.where(same, fast.token_variance * np.exp(-apart / fast.token_decay_days), 0.0)
    covariance[np.diag_indices_from(covariance)] += sales.noise
    return np.linalg.solve(covariance, sales.log_price - sales.anchor_log)


def trait_shares(sales: Remembered, alpha: Float, traits: TokenTraits, params: IndexParams) -> Float:
    """Each trait's share of each token's trait part, shape (tokens, types): rows sum to `a_trait`."""
    if traits.codes.shape[1] == 0:
        return np.zeros((len(traits), 0))
    sold_codes = traits.codes[sales.position]
    has_code = sold_codes >= 0
    scaled = (traits.scale[sales.position] * alpha)[:, None] * np.ones_like(sold_codes)
    pull = np.bincount(
        sold_codes[has_code], weights=scaled[has_code], minlength=int(traits.codes.max(initial=0)) + 1
    )
    shares: Float = params.fast.trait_variance * traits.scale[:, None] * traits.weights * pull[traits.codes]
    return shares


def index_parts(
    base_log: Float,
    stored_trait_log: Float,
    own_log: Float,
    shares: Float | None,
    traits: TokenTraits,
    rows: Integers,
) -> tuple[list[Part], bool]:
    """Level, one part per trait type, and the token's own history: they sum to `base_log`.

    Args:
        base_log: The index's mean of every token, shape (n,).
        stored_trait_log: Its trait part as stored (rounded to single precision), shape (n,).
        own_log: Its own-history part, shape (n,).
        shares: What `trait_shares` gave, or None when it cannot be split.
        traits: Of the same tokens.
        rows: The tokens wanted; the others only make the average.

    Returns:
        The parts of the tokens wanted, and whether the trait part was split: where the stored part is not the sum of
        the shares (the index has moved on since), traits are one part.
    """
    if shares is None or np.abs(shares.sum(axis=1) - stored_trait_log).max() >= STATE_TOLERANCE:
        shares, split = stored_trait_log[:, None], False
    else:
        split = True
    has_traits = traits.has_traits
    average = shares[has_traits].mean(axis=0) if has_traits.any() else np.zeros(shares.shape[1])
    chosen, known = traits.subset(rows), has_traits[rows]
    effects = np.where(known[:, None], shares[rows] - average, 0.0)
    parts: list[Part] = []
    if split:
        types = range(effects.shape[1])
        parts += [Part(INDEX_TRAIT, chosen.labels(number), effects[:, number]) for number in types]
    elif has_traits.any():
        parts.append(Part.shared(INDEX_TRAIT, "Its traits", effects[:, 0]))
    if has_traits.any() and not known.all():
        labels = ["" if value else "Traits unknown" for value in known]
        parts.append(Part(INDEX_TRAIT, labels, np.where(known, 0.0, -average.sum())))
    parts.append(
        Part.shared(OWN_HISTORY, "What this token itself sold for, against the index", own_log[rows])
    )
    level = base_log[rows] - np.sum([part.log_effect for part in parts], axis=0)
    return [Part.shared(LEVEL, "A typical token of the collection today", level), *parts], split
