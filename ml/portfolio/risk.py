"""How errors of tokens held together move together, and the interval of a sum that follows from it.

Here: components of the variance of standardised errors, by the method of moments, and the interval of a sum. Not here:
reading past portfolios (`ml.portfolio.past`), or the tokens of an owner (`ml.portfolio.valuation`).

Concept: with z = (ln price − ln estimate) / half-width, Var z = v; two tokens of one collection share the covariance
`same`, two of different collections of one market share `other`. Both are measured on pairs of sales *within real
portfolios* (a wallet's purchases or sales of a month), because what a wallet holds is no random sample: covariance
between any two sales of a week is a tenth of that on the real bundle, and intervals built on it cover 65 % instead of
80 % (ADR 13). The sum of log-normal prices is taken as log-normal with the same mean and variance (Fenton 1960), and
its quantile is that of past portfolios (conformal, Vovk et al. 2005), close to the normal's 1.28 where the
components explain what happened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

ALL_MARKETS = "all"
"""Stands for every market together: what a market with too few portfolios borrows."""


@dataclass(frozen=True)
class RiskConfig:
    """Settings of the portfolio risk.

    Attributes:
        min_sales: Sales of a wallet in a month from which they count as a portfolio.
        window: Newest portfolios of a market that are used.
        min_portfolios: Below this many a market uses the components of all markets.
        error_clip: Bound on standardised errors: one typo price must not dominate a covariance.
        half_cap: Bound on half-widths in log units within a sum: beyond it a log-normal variance has no meaning.
    """

    min_sales: int = 5
    window: int = 1000
    min_portfolios: int = 50
    error_clip: float = 3.0
    half_cap: float = 3.0


@dataclass(frozen=True)
class PortfolioRisk:
    """Components of the variance of errors divided by the half-width of the 80 % interval.

    Attributes:
        variance: Of one token's error.
        same_collection: Covariance of two tokens of one collection; at most `variance`.
        other_collections: Covariance of two tokens of different collections; between 0 and `same_collection`.
        quantile_80: Standard deviations of ln(sum) that hold 80 % of past portfolios.
        portfolios: Past portfolios behind the numbers.
    """

    variance: float
    same_collection: float
    other_collections: float
    quantile_80: float
    portfolios: int


def estimate_risk(
    expected: Float,
    price: Float,
    error: Float,
    half: Float,
    collection: Codes,
    portfolio: Codes,
    config: RiskConfig,
) -> PortfolioRisk | None:
    """Measure the components on past sales, each with the estimate made before it.

    Args:
        expected: Mean estimate of each sale in ETH, shape (n,).
        price: Price in ETH, shape (n,).
        error: ln price − ln estimate, shape (n,).
        half: Half-width of the 80 % interval in log units, positive, shape (n,).
        collection: Collection codes, shape (n,).
        portfolio: Portfolio codes, shape (n,); a sale may stand in several portfolios, each time as a row.
        config: Settings.

    Returns:
        The components, or None with fewer than `config.min_portfolios` portfolios of two sales or more.
    """
    _, portfolio, counts = np.unique(portfolio, return_inverse=True, return_counts=True)
    if (counts > 1).sum() < config.min_portfolios:
        return None
    z = np.clip(error / half, -config.error_clip, config.error_clip)
    z -= z.mean()
    pairs, products = _pairs(z, portfolio)
    _, holding = np.unique(np.stack([portfolio, collection]), axis=1, return_inverse=True)
    same_pairs, same_products = _pairs(z, holding.reshape(-1))
    owner = np.zeros(int(holding.max()) + 1, np.int64)
    owner[holding.reshape(-1)] = portfolio
    within_pairs = np.bincount(owner, same_pairs, minlength=len(counts))
    within = np.bincount(owner, same_products, minlength=len(counts))
    # a portfolio weighs as much as it has sales, not as it has pairs: the largest wallets would dominate
    weight = 1.0 / np.maximum(counts - 1.0, 1.0)
    variance = float((z**2).mean())
    other = _ratio(weight * (products - within), weight * (pairs - within_pairs))
    same = float(np.clip(_ratio(weight * within, weight * within_pairs), 0.0, variance))
    risk = PortfolioRisk(variance, same, float(np.clip(other, 0.0, same)), 1.2816, int((counts > 1).sum()))
    return PortfolioRisk(
        **{
            **risk.__dict__,
            "quantile_80": _quantile(expected, price, half, collection, portfolio, risk, config),
        }
    )


def log_variance(
    expected: Float,
    half: Float,
    collection: Codes,
    risks: list[PortfolioRisk],
    risk: Codes,
    config: RiskConfig,
) -> float:
    """Variance of the log of the sum of tokens (Fenton–Wilkinson).

    Args:
        expected: Mean estimate of each token, shape (n,).
        half: Half-width of its 80 % interval in log units, shape (n,).
        collection: Collection codes, shape (n,).
        risks: Components by market.
        risk: Position in `risks` of each token's market, shape (n,).
        config: Settings.
    """
    h = np.minimum(half, config.half_cap)
    same = np.sqrt(np.array([r.same_collection for r in risks])[risk]) * h
    other = np.sqrt(np.array([r.other_collections for r in risks])[risk]) * h
    own = np.array([r.variance for r in risks])[risk] * h**2
    total = 0.0
    for start in range(0, len(h), _BLOCK):
        rows = slice(start, start + _BLOCK)
        alike = collection[rows, None] == collection[None, :]
        covariance = np.where(alike, np.outer(same[rows], same), np.outer(other[rows], other))
        place = np.arange(start, start + len(h[rows]))
        covariance[place - start, place] = own[rows]
        total += float(expected[rows] @ np.expm1(covariance) @ expected)
    return float(np.log1p(total / expected.sum() ** 2))


def sum_interval(mean: float, variance_log: float, quantile: float) -> tuple[float, float]:
    """Bounds of a log-normal sum with this mean and log-variance, `quantile` standard deviations either side."""
    middle, reach = np.log(mean) - variance_log / 2.0, quantile * np.sqrt(variance_log)
    return float(np.exp(middle - reach)), float(np.exp(middle + reach))


_BLOCK = 1000
"""Rows of the covariance matrix held at a time."""


def _pairs(z: Float, group: Codes) -> tuple[Float, Float]:
    """Ordered pairs of each group, and the sum of their products."""
    count: Float = np.bincount(group).astype(np.float64)
    products = np.bincount(group, z) ** 2 - np.bincount(group, z * z)
    return count * (count - 1.0), np.asarray(products, np.float64)


def _ratio(products: Float, pairs: Float) -> float:
    return float(products.sum() / pairs.sum()) if pairs.sum() > 0 else 0.0


def _quantile(
    expected: Float,
    price: Float,
    half: Float,
    collection: Codes,
    portfolio: Codes,
    risk: PortfolioRisk,
    config: RiskConfig,
) -> float:
    """The conformal quantile of the standardised log error of past sums."""
    order = np.argsort(portfolio, kind="stable")
    scores = []
    for rows in np.split(order, np.flatnonzero(np.diff(portfolio[order])) + 1):
        market = np.zeros(len(rows), np.int64)
        variance = log_variance(expected[rows], half[rows], collection[rows], [risk], market, config)
        distance = np.log(price[rows].sum() / expected[rows].sum()) + variance / 2.0
        scores.append(abs(distance) / np.sqrt(variance))
    rank = min(int(np.ceil((len(scores) + 1) * 0.8)), len(scores))
    return float(np.sort(scores)[rank - 1])
