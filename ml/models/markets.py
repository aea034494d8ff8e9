"""Which pooled prior prices a collection: one market, one prior.

Here: splitting past sales into markets, and looking up the live prior of a collection. Not here: fitting
(`ml.training.pooled`).

Concept: a market is a chain. Pooling helps because collections resemble one another, and across chains they
do not: on the real bundle the sales of one chain scatter six times as widely as the other's, and one prior
for both had 7 % more error on the quieter chain than a prior of its own (MdAPE 9.15 against 8.6 %), without
helping the other. A chain with too few sales for a prior of its own joins the largest market.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from ml.models.frames import SaleFrame

MIN_MARKET_SALES = 2000
"""Sales of a chain from which it is a market of its own."""


def split_markets(frame: SaleFrame, minimum: int = MIN_MARKET_SALES) -> dict[str, npt.NDArray[np.bool_]]:
    """Rows of each market, largest market first; every row is in exactly one.

    Args:
        frame: Past sales.
        minimum: Sales from which a chain is a market of its own.

    Returns:
        Market name to a mask of shape (n,). Empty without sales.
    """
    chain = np.array(frame.chains, dtype=object)[frame.collection]
    names, counts = np.unique(chain.astype(str), return_counts=True)
    if not len(names):
        return {}
    order = sorted(zip(counts.tolist(), names.tolist(), strict=True), key=lambda item: (-item[0], item[1]))
    largest = order[0][1]
    masks = {largest: chain == largest}
    for count, name in order[1:]:
        if count >= minimum:
            masks[name] = chain == name
        else:
            masks[largest] = masks[largest] | (chain == name)
    return masks


@dataclass(frozen=True)
class LivePriors:
    """The newest prior of every market.

    Attributes:
        by_market: Market to prior version.
        default: Prior version of the largest market, for chains without one; None before any prior.
    """

    by_market: dict[str, str]
    default: str | None

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> LivePriors:
        """From ops.prior_folds."""
        rows = con.execute(
            """
            select market, prior_version from ops.prior_folds
            qualify fold = max(fold) over (partition by market) order by sales desc, market
            """
        ).fetchall()
        return cls(dict(rows), rows[0][1] if rows else None)

    def market_of(self, chain: str | None, markets: Collection[str]) -> str | None:
        """The market of a chain among those that something was learnt for; None without any."""
        if chain in markets:
            return chain
        largest = next((name for name, version in self.by_market.items() if version == self.default), None)
        return largest if largest in markets else next(iter(markets), None)

    def of_chain(self, chain: str | None) -> str | None:
        """The live prior version of a chain."""
        return self.by_market.get(chain or "", self.default)

    def of_collections(self, con: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
        """The live prior version of every collection."""
        rows = con.execute('select collection, "chain" from marts.dim_collections').fetchall()
        return {collection: self.of_chain(chain) for collection, chain in rows}
