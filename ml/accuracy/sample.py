"""The one shape that every figure of the report is computed from: sales with the estimates made before them.

Here: the sample, parts of it, and the columns that group it. Not here: where it comes from
(`ml.accuracy.ledger_reader`, `ml.accuracy.walk_forward_report`) or what is computed from it.

Concept: a sample is a set of parallel arrays, prices and estimates in natural log of ETH. A row without an
estimate stays in: it is what the hit rate is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.accuracy.config import MODEL

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """A column of group names.

    Attributes:
        codes: Position in `names` of each row's group, shape (n,); −1 is no group.
        names: The groups in the order of the tables.
    """

    codes: Int
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Iterable[str | None], order: Iterable[str] | None = None) -> Labels:
        """Labels of a string column.

        Args:
            values: The group of each row; None is no group.
            order: The groups in order; without it, those found, sorted.
        """
        column = np.array(list(values), dtype=object)
        found = sorted({str(value) for value in column if value is not None})
        names = tuple(found if order is None else order)
        position = {name: code for code, name in enumerate(names)}
        codes = [-1 if value is None else position.get(str(value), -1) for value in column]
        return cls(np.array(codes, dtype=np.int64), names)

    @classmethod
    def by_edges(cls, values: Float, edges: tuple[float, ...], names: tuple[str, ...]) -> Labels:
        """Groups of a number: `names[i]` holds edges[i−1] ≤ value < edges[i]; NaN is no group."""
        codes = np.searchsorted(np.asarray(edges, float), values, side="right").astype(np.int64)
        return cls(np.where(np.isnan(values), -1, codes), names)

    def rows(self, chosen: Bools) -> Labels:
        """The labels of a part of the rows."""
        return Labels(self.codes[chosen], self.names)


@dataclass(frozen=True)
class Sample:
    """Sales and what was estimated before them; arrays of length n.

    Attributes:
        collection: The collection of each sale.
        day: Day of the sale, days since the epoch.
        price_log: ln price, finite.
        logs: Model and baselines: name to ln estimate, NaN where there was none.
        bounds: Promised coverage to ln (lower, upper), NaN where there was no interval.
        labels: Dimension to the group of each sale.
        expected_log: ln of the mean that sums of estimates use; NaN where none.
        seller: Dense code of the seller, −1 where unknown.
    """

    collection: Labels
    day: Int
    price_log: Float
    logs: dict[str, Float]
    bounds: dict[float, tuple[Float, Float]]
    labels: dict[str, Labels]
    expected_log: Float
    seller: Int

    def __len__(self) -> int:
        return len(self.price_log)

    def rows(self, chosen: Bools) -> Sample:
        """The same for a part of the rows."""
        return Sample(
            self.collection.rows(chosen),
            self.day[chosen],
            self.price_log[chosen],
            {name: log[chosen] for name, log in self.logs.items()},
            {level: (low[chosen], high[chosen]) for level, (low, high) in self.bounds.items()},
            {name: labels.rows(chosen) for name, labels in self.labels.items()},
            self.expected_log[chosen],
            self.seller[chosen],
        )

    @property
    def answered(self) -> Bools:
        """Which sales had an estimate."""
        return np.isfinite(self.logs[MODEL])

    def by(self, dimension: str) -> Iterator[tuple[str, Sample]]:
        """The groups of a dimension that have rows, in the order of their names."""
        labels = self.labels[dimension]
        for code, name in enumerate(labels.names):
            chosen = labels.codes == code
            if chosen.any():
                yield name, self.rows(chosen)

    def blocks(self) -> Int:
        """Dense code of (collection, day): sales of one day of one collection share its shocks."""
        if len(self) == 0:
            return np.empty(0, np.int64)
        span = int(self.day.max() - self.day.min()) + 1
        return np.unique(self.collection.codes * span + (self.day - self.day.min()), return_inverse=True)[
            1
        ].astype(np.int64)


def absolute_error(estimate_log: Float, price_log: Float) -> Float:
    """|estimate / price − 1|, NaN where there is no estimate."""
    return np.abs(np.expm1(estimate_log - price_log))
