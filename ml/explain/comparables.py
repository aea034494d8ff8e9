"""The recent sales that a token is best compared with, and what each says about it today.

Here: ranking sales by how comparable they are, and adjusting their prices. Not here: the estimate, which does not use
this list: the index weighs all sales it remembers.

Concept: the sales comparison approach of appraisers (IAAO), with the index as the yardstick. How far apart two prices
should be is what the slow index expects of their squared log difference: 2 (k(1) − k(s)) for different traits, k(s) =
vt·s + vt2·s⁶ with similarity s, and the drift of its level per day for age. The smallest is the best comparable. A
price is then moved by what the collection's level did since, and by the difference of the two tokens' trait parts as the
index sees both today. Of each token its newest sale counts; the token's own sale is not a comparable but a fact.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.explain.traits import TokenTraits
from ml.index.params import IndexParams

Float = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PAIRS_AT_ONCE = 8_000_000
"""Pairs of a token and a sale compared in one step: 64 MB per array."""

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
        age_days: Days before the instant of the explanation.
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
    con: duckdb.DuckDBPyConnection, collection: str, prefix: int, as_of: object, traits: TokenTraits
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


def comparables(
    tokens: Integers,
    sold: Sold,
    traits: TokenTraits,
    level_log: Float,
    trait_log: Float,
    k: int,
    params: IndexParams,
) -> tuple[Integers, Integers, Integers, Float]:
    """The k most comparable sales of each token.

    Args:
        tokens: Positions of the tokens to explain, shape (m,).
        sold: Candidates.
        traits: Of all n tokens of the collection.
        level_log: The index's level today, by token position, shape (n,).
        trait_log: The index's trait part today, by token position, shape (n,).
        k: Comparables wanted; fewer where there are fewer candidates.
        params: Parameters of the index.

    Returns:
        Row of `tokens`, rank from 1, number among `sold`, and similarity, each of shape (pairs,), by row and rank.
    """
    found = min(k, len(sold))
    if found == 0 or len(tokens) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    slow = params.slow
    hot = traits.one_hot()
    candidates = hot[sold.position].T.tocsc()
    drift = slow.day_drift * sold.age_days
    alike = slow.trait_variance + slow.trait_variance_sharp
    picked, similarities, valid = [], [], []
    step = max(1, PAIRS_AT_ONCE // len(sold))
    for start in range(0, len(tokens), step):
        chunk = tokens[start : start + step]
        s = (hot[chunk] @ candidates).toarray()
        apart = 2.0 * (alike - slow.trait_variance * s - slow.trait_variance_sharp * s**6) + drift
        apart[chunk[:, None] == sold.position[None, :]] = np.inf
        best = np.argpartition(apart, found - 1, axis=1)[:, :found]
        order = np.lexsort((best, np.take_along_axis(apart, best, 1)), axis=1)
        best = np.take_along_axis(best, order, 1)
        picked.append(best)
        similarities.append(np.take_along_axis(s, best, 1))
        valid.append(np.isfinite(np.take_along_axis(apart, best, 1)))
    keep = np.concatenate(valid).ravel()
    row = np.repeat(np.arange(len(tokens)), found)[keep]
    rank = np.tile(np.arange(1, found + 1), len(tokens))[keep]
    return row, rank, np.concatenate(picked).ravel()[keep], np.concatenate(similarities).ravel()[keep]


def comparable_rows(
    collection: str,
    as_of: object,
    tokens: Integers,
    sold: Sold,
    traits: TokenTraits,
    level_log: Float,
    trait_log: Float,
    k: int,
    params: IndexParams,
) -> pa.Table:
    """Rows of `COMPARABLE_SCHEMA` for the tokens at these positions; arguments as in `comparables`."""
    row, rank, sale, similarity = comparables(tokens, sold, traits, level_log, trait_log, k, params)
    token, other = tokens[row], sold.position[sale]
    level = level_log[token] - sold.level_log[sale]
    trait = trait_log[token] - trait_log[other]
    count = len(row)
    return pa.table(
        {
            "collection": pa.array([collection] * count, pa.string()),
            "token_id": pc.take(traits.token_id, pa.array(token)),
            "as_of": pa.array([as_of] * count, pa.timestamp("us")),
            "rank": rank,
            "sale_id": pc.take(sold.sale_id, pa.array(sale)),
            "sold_token_id": pc.take(traits.token_id, pa.array(other)),
            "sold_at": pc.take(sold.sold_at, pa.array(sale)),
            "price_eth": sold.price_eth[sale],
            "similarity": np.minimum(similarity, 1.0),
            "level_factor": np.exp(level),
            "trait_factor": np.exp(trait),
            "adjusted_eth": np.exp(sold.price_log[sale] + level + trait),
        }
    ).cast(COMPARABLE_SCHEMA)
