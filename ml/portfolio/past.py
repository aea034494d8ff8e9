"""Past portfolios of real wallets, and what is learnt from them: ops.portfolio_risk.

Here: reading the out-of-fold predictions of what wallets bought or sold in a month, writing the components, and how
well those known before a time held for the sums after it. Not here: measuring them (`ml.portfolio.risk`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.matrix import column, group_codes
from ml.intervals.calibration import CalibrationConfig, mean_corrections
from ml.portfolio.risk import (
    ALL_MARKETS,
    PortfolioRisk,
    RiskConfig,
    estimate_risk,
    log_variance,
    sum_interval,
)
from ml.tables.writing import append

BACK_TEST_SHARE = 0.3
"""Share of the newest sales whose months `back_test` judges."""


def record_portfolio_risk(con: duckdb.DuckDBPyConnection, config: RiskConfig | None = None) -> None:
    """Measure the risk of portfolios on predictions.prior_walk_forward and append it, in the caller's transaction.

    Args:
        con: A write connection with predictions.prior_walk_forward, marts.fct_sales and marts.dim_collections.
        config: Settings.
    """
    config = config or RiskConfig()
    newest = con.execute("select max(known_at) from predictions.prior_walk_forward").fetchone()
    if newest is None or newest[0] is None:
        return
    rows = []
    for market in (ALL_MARKETS, *_markets(con)):
        risk = measure_risk(con, market, config)
        if risk is not None:
            rows.append({"market": market, "measured_at": newest[0], **risk.__dict__})
    con.execute("delete from ops.portfolio_risk where measured_at = $1", [newest[0]])
    if rows:
        append(con, "ops.portfolio_risk", pa.Table.from_pylist(rows, schema=_SCHEMA))


def read_risk(con: duckdb.DuckDBPyConnection, as_of: datetime) -> dict[str, PortfolioRisk]:
    """The newest components known at that time, by market; empty before there are any."""
    rows = con.execute(
        """
        select market, variance, same_collection, other_collections, quantile_80, portfolios from ops.portfolio_risk
        where measured_at <= $1 qualify measured_at = max(measured_at) over ()
        """,
        [as_of],
    ).fetchall()
    return {row[0]: PortfolioRisk(*row[1:]) for row in rows}


_SCHEMA = pa.schema(
    [
        ("market", pa.string()),
        ("measured_at", pa.timestamp("us")),
        *(
            (name, pa.float64())
            for name in ("variance", "same_collection", "other_collections", "quantile_80")
        ),
        ("portfolios", pa.int64()),
    ]
)


def _markets(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute("select distinct coalesce(\"chain\", 'unknown') from marts.dim_collections order by 1")
    return [market for (market,) in rows.fetchall()]


def measure_risk(
    con: duckdb.DuckDBPyConnection, market: str, config: RiskConfig, until: datetime | None = None
) -> PortfolioRisk | None:
    """The components of a market (or of `ALL_MARKETS`) on sales known before `until`; None with too few portfolios."""
    # where wallets rarely trade much in a month, pairs must do
    return _measure(con, market, config, until) or _measure(con, market, replace(config, min_sales=2), until)


@dataclass(frozen=True)
class _Portfolios:
    """Sales in portfolios, each as often as it stands in one; arrays of one length."""

    price_log: npt.NDArray[np.float64]
    prediction_log: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]
    tier: npt.NDArray[np.int8]
    collection: npt.NDArray[np.int64]
    portfolio: npt.NDArray[np.int64]
    bought: npt.NDArray[np.bool_]

    def corrections(self) -> npt.NDArray[np.float64]:
        """What makes the log of a median that of a mean, by premium tier."""
        error = self.price_log - self.prediction_log
        return np.asarray(
            mean_corrections(error, self.half, self.tier, CalibrationConfig(mean_rows=len(error)))
        )


def back_test(con: duckdb.DuckDBPyConnection, config: RiskConfig | None = None) -> dict[str, Any] | None:
    """The newest months of past portfolios, valued by what was known before: does the interval hold their sums?

    Args:
        con: A connection with predictions.prior_walk_forward, marts.fct_sales and marts.dim_collections.
        config: Settings; the last `BACK_TEST_SHARE` of the sales are in the months that are judged.

    Returns:
        {since, markets: {market: {bought | sold: {portfolios, sales, coverage_80, sum_ratio, mdape_of_sums}}}}, where
        a ratio is Σ estimate / Σ price; None without predictions.
    """
    config = config or RiskConfig()
    row = con.execute(
        "select date_trunc('month', quantile_disc(known_at, $1))::timestamp from predictions.prior_walk_forward",
        [1.0 - BACK_TEST_SHARE],
    ).fetchone()
    if row is None or row[0] is None:
        return None
    found: dict[str, Any] = {}
    for market in _markets(con):
        risk, source = measure_risk(con, market, config, until=row[0]), market
        if risk is None:
            risk, source = measure_risk(con, ALL_MARKETS, config, until=row[0]), ALL_MARKETS
        after = _read(con, market, replace(config, window=10**9), since=row[0])
        if risk is not None and len(after.half):
            corrections = _read(con, source, config, until=row[0]).corrections()
            found[market] = {
                side: _sums(after, after.bought == is_bought, corrections, risk, config)
                for side, is_bought in (("bought", True), ("sold", False))
            }
    return {"since": row[0].isoformat(), "markets": found}


def _sums(
    of: _Portfolios,
    chosen: npt.NDArray[np.bool_],
    corrections: npt.NDArray[np.float64],
    risk: PortfolioRisk,
    config: RiskConfig,
) -> dict[str, Any]:
    expected, price = np.exp(of.prediction_log + corrections[of.tier]), np.exp(of.price_log)
    order = np.flatnonzero(chosen)
    order = order[np.argsort(of.portfolio[order], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(of.portfolio[order])) + 1) if len(order) else []
    inside, sums = 0, np.zeros((len(parts), 2))
    for place, rows in enumerate(parts):
        variance = log_variance(
            expected[rows], of.half[rows], of.collection[rows], [risk], np.zeros(len(rows), np.int64), config
        )
        low, high = sum_interval(float(expected[rows].sum()), variance, risk.quantile_80)
        sums[place] = expected[rows].sum(), price[rows].sum()
        inside += bool(low <= sums[place, 1] <= high)
    return {
        "portfolios": len(parts),
        "sales": len(order),
        "coverage_80": inside / len(parts) if parts else None,
        "sum_ratio": float(sums[:, 0].sum() / sums[:, 1].sum()) if parts else None,
        "mdape_of_sums": float(np.median(np.abs(sums[:, 0] / sums[:, 1] - 1.0))) if parts else None,
    }


def _measure(
    con: duckdb.DuckDBPyConnection, market: str, config: RiskConfig, until: datetime | None
) -> PortfolioRisk | None:
    of = _read(con, market, config, until=until)
    return estimate_risk(
        np.exp(of.prediction_log + of.corrections()[of.tier]),
        np.exp(of.price_log),
        of.price_log - of.prediction_log,
        of.half,
        of.collection,
        of.portfolio,
        config,
    )


def _read(
    con: duckdb.DuckDBPyConnection,
    market: str,
    config: RiskConfig,
    since: datetime | None = None,
    until: datetime | None = None,
) -> _Portfolios:
    """The newest portfolios of a market among the sales known from `since` to before `until`."""
    chosen = "" if market == ALL_MARKETS else "and coalesce(c.\"chain\", 'unknown') = $market"
    asked: dict[str, object] = {"least": config.min_sales, "window": config.window}
    asked |= {"since": since, "until": until}
    table = con.execute(
        f"""
        with sales as (
            select w.collection, w.sale_id, w.known_at, w.target_log, w.prediction_log, w.premium_tier, w.half_80,
                s.buyer, s.seller
            from predictions.prior_walk_forward as w
            inner join marts.fct_sales as s on w.sale_id = s.sale_id
            inner join marts.dim_collections as c on w.collection = c.collection
            where w.half_80 > 0 and ($until::timestamp is null or w.known_at < $until)
                and ($since::timestamp is null or w.known_at >= $since) {chosen}
        ),

        held as (
            select * exclude (buyer, seller), 'bought ' || buyer as wallet from sales where buyer is not null
            union all
            select * exclude (buyer, seller), 'sold ' || seller as wallet from sales where seller is not null
        ),

        portfolios as (
            select wallet, date_trunc('month', known_at) as month from held group by all having count(*) >= $least
            order by max(known_at) desc, wallet limit $window
        )

        select h.*, h.wallet || ' ' || p.month::varchar as portfolio
        from held as h
        inner join portfolios as p on h.wallet = p.wallet and date_trunc('month', h.known_at) = p.month
        order by h.known_at, h.sale_id, h.wallet
        """,
        asked if market == ALL_MARKETS else {**asked, "market": market},
    ).to_arrow_table()
    return _Portfolios(
        column(table, "target_log"),
        column(table, "prediction_log"),
        column(table, "half_80"),
        column(table, "premium_tier").astype(np.int8),
        group_codes(table["collection"])[0],
        group_codes(table["portfolio"])[0],
        np.array([wallet.startswith("bought ") for wallet in table["wallet"].to_pylist()], bool),
    )
