"""The recent sales that a token is best compared with, and what each implies for its price today.

Here: ranking sales by how comparable they are, and adjusting their prices. Not here: the estimate, which does not use
this list: the index weighs all sales it remembers.

Concept: the sales comparison approach of appraisers (IAAO), with the index as the yardstick. How far apart two
prices should be is the sum of three squared log differences: what the slow index expects for different traits, 2 (k(1)
− k(s)) with k(s) = vt·s + vt2·s⁶ and similarity s; what an older price is less certain by per day; and the uncertainty
of its adjustment. The smallest sum is the best comparable. A price is moved by what the collection's level did since,
and by the difference of what the two tokens' traits are worth today in all models together. Of each token its newest
sale counts; a token's own sale is not a comparable but a fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from ml.explain.traits import TokenTraits
from ml.index.params import IndexParams

Float = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

AGEING_PER_DAY = 0.0005
"""Squared log difference that a price moved by its collection's level gathers per day, measured on resales (ADR 14)."""

ADJUSTMENT_DOUBT = 0.5
"""Share of an adjustment for traits that may be wrong: a large adjustment makes a poor comparable."""

SHORTLIST = 200
"""Candidates of a token whose traits are priced."""

PAIRS_AT_ONCE = 8_000_000
"""Pairs of a token and a sale compared in one step: 64 MB per array."""

DENSE_ENTRIES = 25_000_000
"""Entries up to which the candidates' traits are kept dense (200 MB), which is several times as fast."""

COMPARABLE_SCHEMA = pa.schema(
    [
        ("collection", pa.string()),
        ("token_id", pa.string()),
        ("as_of", pa.timestamp("us")),
        ("rank", pa.int64()),
        ("sale_id", pa.string()),
        ("sold_token_id", pa.string()),
        ("sold_at", pa.timestamp("us")),
        ("price_eth", pa.float64()),
        ("similarity", pa.float64()),
        ("level_factor", pa.float64()),
        ("trait_factor", pa.float64()),
        ("adjusted_eth", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Sold:
    """The newest sale of each token that sold, arrays of length n.

    Attributes:
        sale_id: Arrow strings.
        position: Position of the token among the collection's tokens.
        sold_at: Arrow timestamps.
        age_days: Days before the time of the explanation.
        price_log: ln ETH.
        level_log: The index's level just before the sale, ln ETH.
        price_eth: As paid.
    """

    sale_id: pa.Array
    position: Integers
    sold_at: pa.Array
    age_days: Float
    price_log: Float
    level_log: Float
    price_eth: Float

    def __len__(self) -> int:
        return len(self.position)


def read_sold(
    con: duckdb.DuckDBPyConnection, collection: str, prefix: int, as_of: datetime, traits: TokenTraits
) -> Sold:
    """The newest arm's-length sale of each token among the first `prefix` sales that had an index."""
    table = con.execute(
        """
        select
            i.sale_id, i.token_id, s.event_time, s.price_eth, i.log_price, i.a_level,
            (epoch_us($3::timestamp) - epoch_us(s.event_time)) / 86400e6 as age_days
        from features.hedonic_index as i
        inner join marts.fct_sales as s on i.sale_id = s.sale_id
        where i.collection = $1 and i.seq <= $2 and i.a_level is not null
        qualify row_number() over (partition by i.token_id order by i.seq desc) = 1
        order by i.seq
        """,
        [collection, prefix, as_of],
    ).to_arrow_table()
    table = table.combine_chunks()
    return Sold(
        table["sale_id"].combine_chunks(),
        traits.positions(table["token_id"].combine_chunks()),
        table["event_time"].combine_chunks(),
        np.maximum(table["age_days"].to_numpy(), 0.0),
        table["log_price"].to_numpy(),
        table["a_level"].to_numpy(),
        table["price_eth"].to_numpy(),
    )


@dataclass(frozen=True)
class Pairs:
    """Tokens and their comparables, arrays of length pairs, by token and rank.

    Attributes:
        token: Position of the token that is explained.
        rank: From 1.
        sale: Number of the comparable among the `Sold`.
        similarity: 0 nothing in common … 1 the same traits.
    """

    token: Integers
    rank: Integers
    sale: Integers
    similarity: Float


@dataclass(frozen=True)
class Shortlist:
    """Candidates of each token before their traits are priced, arrays of shape (tokens, candidates).

    Attributes:
        token: Positions of the tokens to explain, shape (tokens,).
        sale: Numbers among the `Sold`.
        similarity: 0 nothing in common … 1 the same traits.
        apart: Expected squared log difference, infinite for a token's own sale.
    """

    token: Integers
    sale: Integers
    similarity: Float
    apart: Float

    def of_tokens(self, kept: npt.NDArray[np.bool_]) -> Shortlist:
        """The candidates of some of the tokens."""
        return Shortlist(self.token[kept], self.sale[kept], self.similarity[kept], self.apart[kept])


def shortlist(tokens: Integers, sold: Sold, traits: TokenTraits, params: IndexParams) -> Shortlist:
    """The candidates that similarity and age leave for each token.

    Args:
        tokens: Positions of the tokens to explain, shape (m,).
        sold: Candidates.
        traits: Of all tokens of the collection.
        params: Parameters of the index.
    """
    width = min(SHORTLIST, len(sold))
    if width == 0 or len(tokens) == 0:
        none = np.empty((len(tokens), 0))
        return Shortlist(tokens, none.astype(np.int64), none, none)
    slow = params.slow
    hot = traits.one_hot()
    candidates = hot[sold.position].T.tocsc()
    if candidates.shape[0] * candidates.shape[1] <= DENSE_ENTRIES:
        candidates = candidates.toarray()
    ageing = AGEING_PER_DAY * sold.age_days
    alike = slow.trait_variance + slow.trait_variance_sharp
    parts = []
    step = max(1, PAIRS_AT_ONCE // len(sold))
    for start in range(0, len(tokens), step):
        chunk = tokens[start : start + step]
        s = hot[chunk] @ candidates
        s = s.toarray() if sparse.issparse(s) else s
        apart = 2.0 * (alike - slow.trait_variance * s - slow.trait_variance_sharp * s**6) + ageing
        apart[chunk[:, None] == sold.position[None, :]] = np.inf
        best = np.argpartition(apart, width - 1, axis=1)[:, :width]
        parts.append((best, np.take_along_axis(s, best, 1), np.take_along_axis(apart, best, 1)))
    sale, similarity, apart = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Shortlist(tokens, sale, np.minimum(similarity, 1.0), apart)


def rank_comparables(listed: Shortlist, sold: Sold, trait_log: Float, k: int) -> Pairs:
    """The k best of each token's shortlist, now that the adjustments for traits are known.

    Args:
        listed: Candidates.
        sold: What they are.
        trait_log: What the traits are worth by token position, log units.
        k: Comparables wanted; fewer where there are fewer candidates.
    """
    adjustment = trait_log[listed.token][:, None] - trait_log[sold.position[listed.sale]]
    apart = listed.apart + ADJUSTMENT_DOUBT**2 * adjustment**2
    order = np.lexsort((listed.sale, apart), axis=1)[:, :k]
    found = order.shape[1]
    keep = np.isfinite(np.take_along_axis(apart, order, 1)).ravel()
    token = np.repeat(listed.token, found)
    rank = np.tile(np.arange(1, found + 1), len(listed.token))
    sale = np.take_along_axis(listed.sale, order, 1).ravel()
    similarity = np.take_along_axis(listed.similarity, order, 1).ravel()
    return Pairs(token[keep], rank[keep], sale[keep], similarity[keep])


def comparable_rows(
    collection: str,
    as_of: datetime,
    pairs: Pairs,
    sold: Sold,
    token_id: pa.Array,
    level_log: Float,
    trait_log: Float,
) -> pa.Table:
    """Rows of `COMPARABLE_SCHEMA`.

    Args:
        collection: Whose tokens.
        as_of: Time that is explained.
        pairs: Tokens and comparables.
        sold: Candidates.
        token_id: Ids by position.
        level_log: The index's level at that time by position, ln ETH.
        trait_log: What the traits are worth by position, log units.
    """
    other, count = sold.position[pairs.sale], len(pairs.token)
    level = level_log[pairs.token] - sold.level_log[pairs.sale]
    trait = trait_log[pairs.token] - trait_log[other]
    return pa.table(
        {
            "collection": pa.array([collection] * count, pa.string()),
            "token_id": token_id.take(pa.array(pairs.token)),
            "as_of": pa.array([as_of] * count, pa.timestamp("us")),
            "rank": pairs.rank,
            "sale_id": sold.sale_id.take(pa.array(pairs.sale)),
            "sold_token_id": token_id.take(pa.array(other)),
            "sold_at": sold.sold_at.take(pa.array(pairs.sale)),
            "price_eth": sold.price_eth[pairs.sale],
            "similarity": pairs.similarity,
            "level_factor": np.exp(level),
            "trait_factor": np.exp(trait),
            "adjusted_eth": np.exp(sold.price_log[pairs.sale] + level + trait),
        }
    ).cast(COMPARABLE_SCHEMA)
