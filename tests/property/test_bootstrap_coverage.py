"""A 95 % interval of the report holds the truth about 95 times in 100, also when sales of a cluster err together."""

from __future__ import annotations

import numpy as np
import pytest

from ml.accuracy.bootstrap import ClusterBootstrap, interval, wilson

MARKETS = 150
CLUSTERS, SALES = 40, 15


@pytest.mark.parametrize("together", [0.0, 1.0])
def test_intervals_of_a_median_and_a_mean_hold_the_truth(together: float) -> None:
    """150 markets of 40 clusters; the true median and mean of the errors are 0. Three standard errors of 95 % in 150
    trials are 5 points; percentile intervals of 40 clusters are a little short, hence 87 % as the lower limit."""
    rng = np.random.default_rng(11)
    cluster = np.repeat(np.arange(CLUSTERS), SALES)
    held = np.zeros((MARKETS, 2))
    for market in range(MARKETS):
        error = rng.normal(0, 1, len(cluster)) + together * rng.normal(0, 1, CLUSTERS)[cluster]
        draw = ClusterBootstrap(cluster, draws=200, seed=market)
        for k, draws in enumerate((draw.quantile(error), draw.mean(error))):
            found = interval(draws, 0.95)
            assert found is not None
            held[market, k] = found[0] <= 0.0 <= found[1]
    assert (held.mean(axis=0) >= 0.87).all()
    assert (held.mean(axis=0) < 1.0).all(), "an interval that never misses is too wide to mean anything"


def test_drawing_single_sales_would_claim_too_much() -> None:
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(CLUSTERS), SALES)
    error = rng.normal(0, 0.3, len(cluster)) + rng.normal(0, 1, CLUSTERS)[cluster]
    by_cluster = interval(ClusterBootstrap(cluster, 200, 0).quantile(error), 0.95)
    by_sale = interval(ClusterBootstrap(np.arange(len(cluster)), 200, 0).quantile(error), 0.95)
    assert by_cluster is not None
    assert by_sale is not None
    assert by_cluster[1] - by_cluster[0] > 2 * (by_sale[1] - by_sale[0])


@pytest.mark.parametrize("n", [3, 50, 4000])
def test_the_draws_of_a_median_agree_with_sorting_every_draw(n: int) -> None:
    """Reading the median off histograms is a shortcut; resampling and sorting is the definition."""
    rng = np.random.default_rng(n)
    values = np.exp(rng.normal(0, 1, n))
    fast = ClusterBootstrap(np.arange(n) % 100, 400, 3).quantile(values)
    clusters = [values[np.arange(n) % 100 == k] for k in range(min(n, 100))]
    picks = rng.integers(0, len(clusters), (400, len(clusters)))
    slow = [np.median(np.concatenate([clusters[k] for k in pick])) for pick in picks]
    spread = np.std(slow)
    assert abs(np.mean(fast) - np.mean(slow)) < (0.3 * spread if n > 3 else 2 * spread)
    if n > 3:
        assert np.std(fast) == pytest.approx(spread, rel=0.2)


def test_wilson_never_leaves_zero_to_one_and_narrows_with_trials() -> None:
    widths = []
    for n in (5, 50, 500):
        for hits in (0, n // 2, n):
            found = wilson(hits, n, 0.95)
            assert found is not None
            assert 0.0 <= found[0] <= hits / n <= found[1] <= 1.0
        low, high = wilson(n // 2, n, 0.95) or [0.0, 1.0]
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert wilson(0, 0, 0.95) is None
