"""The interval of a sum of estimates, from the tokens' own intervals and the risk that their errors share.

Here: which way it is made. Not here: the risk (`risk`), or reading anything: serving makes the same interval from its
store.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.portfolio.risk import ALL_MARKETS, PortfolioRisk, RiskConfig, log_variance, sum_interval

METHOD_RISK = "common risk"
METHOD_TOKEN = "the token's own"
METHOD_BOUNDS = "bounds added"
METHOD_NONE = "none"


def portfolio_interval(
    valued: list[dict[str, Any]], total: float, risks: dict[str, PortfolioRisk], config: RiskConfig
) -> tuple[float | None, float | None, str]:
    """The 80 % interval of the sum of valued tokens.

    Args:
        valued: One dict per token: collection, market, estimate_eth, lower_80_eth, upper_80_eth and expected_eth; the
            bounds may be None.
        total: Sum of expected_eth, ETH.
        risks: Risk by market (`ml.portfolio.past.read_risk`).
        config: Settings.

    Returns:
        Lower and upper bound in ETH (None without an interval) and how they were made: one of the METHOD words.
    """
    if not valued or any(row["upper_80_eth"] is None for row in valued):
        return None, None, METHOD_NONE
    if len(valued) == 1:
        return valued[0]["lower_80_eth"], valued[0]["upper_80_eth"], METHOD_TOKEN
    shared = risks.get(ALL_MARKETS)
    used = {row["market"]: risks.get(row["market"], shared) for row in valued}
    known = {market: risk for market, risk in used.items() if risk is not None}
    if len(known) < len(used):
        lower, upper = (float(sum(row[name] for row in valued)) for name in ("lower_80_eth", "upper_80_eth"))
        return lower, upper, METHOD_BOUNDS
    place = {market: number for number, market in enumerate(known)}
    codes: dict[str, int] = {}
    expected = np.array([row["expected_eth"] for row in valued])
    variance = log_variance(
        expected,
        np.array([np.log(row["upper_80_eth"] / row["estimate_eth"]) for row in valued]),
        np.array([codes.setdefault(row["collection"], len(codes)) for row in valued]),
        list(known.values()),
        np.array([place[row["market"]] for row in valued]),
        config,
    )
    quantile = max(risk.quantile_80 for risk in known.values())
    lower, upper = sum_interval(total, variance, quantile)
    return lower, upper, METHOD_RISK
