"""How sure a figure is: bootstrap by clusters, and intervals of a share.

Here: drawing whole clusters with replacement, quantiles and means of every draw at once, Wilson intervals. Not
here: what is drawn or which figure.

Concept: sales of one collection share its level, so drawing sales one by one would claim ten times the
certainty there is. A draw is a vector of cluster multiplicities. The draws of a mean are one matrix product with
the clusters' sums; the draws of a median are one product with the clusters' histograms over fine quantile bins
of the sample, read off inside the bin by interpolation. No draw ever sorts. Thousands of clusters are dealt at
random into a few hundred groups of equal number, which are drawn instead: the variance of a sum of independent
clusters is the same whichever way they are grouped.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np

from ml.accuracy.sample import Float, Int

_BINS = 128
"""Bins of a histogram, of equal mass in the sample; the error of reading between them is far below a draw's."""

_MOST_CLUSTERS = 128
"""More clusters than this are dealt into this many groups; a variance from 128 is good to 6 %."""


class ClusterBootstrap:
    """Multiplicities of the clusters of one sample, drawn once and used for all its figures.

    Args:
        cluster: Cluster code of each row, shape (n,); any integers.
        draws: Number of draws.
        seed: Of the draws.
    """

    def __init__(self, cluster: Int, draws: int, seed: int) -> None:
        present, self._cluster = np.unique(cluster, return_inverse=True)
        self._count = len(present)
        self.draws = draws if self._count > 1 else 0
        if self.draws:
            generator = np.random.default_rng(seed)
            if self._count > _MOST_CLUSTERS:
                self._cluster = (generator.permutation(self._count) % _MOST_CLUSTERS)[self._cluster]
                self._count = _MOST_CLUSTERS
            share = np.full(self._count, 1.0 / self._count)
            self._weights = generator.multinomial(self._count, share, size=draws).astype(np.float32)
            self._exact = self._weights.astype(np.float64)  # sums of prices need the digits, counts do not

    def mean(self, values: Float) -> Float:
        """Mean of `values` in every draw, shape (draws,); NaN entries are left out of it."""
        if not self.draws:
            return np.empty(0)
        usable = np.isfinite(values)
        total = np.bincount(self._cluster[usable], values[usable], self._count)
        size = np.bincount(self._cluster[usable], minlength=self._count)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self._exact @ total) / (self._exact @ size), dtype=np.float64)

    def ratio(self, numerator: Float, denominator: Float) -> Float:
        """Σ numerator / Σ denominator in every draw, over rows where both are finite."""
        both = np.isfinite(numerator) & np.isfinite(denominator)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.mean(np.where(both, numerator, np.nan)) / self.mean(
                np.where(both, denominator, np.nan)
            )

    def quantile(self, values: Float, q: float = 0.5) -> Float:
        """Quantile of `values` in every draw, shape (draws,); NaN entries are left out of it."""
        usable = np.isfinite(values)
        if not self.draws or not usable.any():
            return np.empty(0)
        values, cluster = values[usable], self._cluster[usable]
        n = len(values)
        bins = min(_BINS, n)
        order = np.argsort(values, kind="stable")
        first = -(-np.arange(bins) * n // bins)  # the first row of each bin of equal mass
        edges = np.append(values[order[first]], values[order[-1]])
        flat = np.bincount(cluster[order] * bins + np.arange(n) * bins // n, minlength=self._count * bins)
        mass = np.cumsum(self._weights @ flat.reshape(self._count, bins).astype(np.float32), axis=1)
        total = mass[:, -1]
        target = q * total
        bin_of = np.minimum((mass < target[:, None]).sum(axis=1), bins - 1)
        row = np.arange(self.draws)
        below = np.where(bin_of > 0, mass[row, np.maximum(bin_of - 1, 0)], 0.0)
        inside = mass[row, bin_of] - below
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.clip((target - below) / inside, 0.0, 1.0)
        drawn = edges[bin_of] + part * (edges[bin_of + 1] - edges[bin_of])
        return np.asarray(np.where(total > 0, drawn, np.nan), dtype=np.float64)


def interval(draws: Float, confidence: float) -> list[float] | None:
    """Percentile interval of bootstrap draws as [low, high]; None when nothing could be drawn."""
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return [float(low), float(high)]


def wilson(hits: int, n: int, confidence: float) -> list[float] | None:
    """Wilson's score interval of a share, [low, high]; None without trials.

    Source: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if n == 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula is exact, but for rounding.
    return [0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half]
