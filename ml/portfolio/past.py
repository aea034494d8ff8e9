"""Past portfolios of real wallets, and what is learnt from them: ops.portfolio_risk.

Here: reading the out-of-fold predictions of what wallets bought or sold in a month, and writing the components. Not
here: measuring them (`ml.portfolio.risk`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from ml.compute.matrix import column, group_codes
from ml.intervals.calibration import CalibrationConfig, mean_corrections
from ml.portfolio.risk import ALL_MARKETS, PortfolioRisk, RiskConfig, estimate_risk
from ml.tables.writing import append


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
    markets = con.execute(
        "select distinct coalesce(\"chain\", 'unknown') from marts.dim_collections order by 1"
    ).fetchall()
    rows = []
    for market in (ALL_MARKETS, *(row[0] for row in markets)):
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


def measure_risk(
    con: duckdb.DuckDBPyConnection, market: str, config: RiskConfig, until: datetime | None = None
) -> PortfolioRisk | None:
    """The components of a market (or of `ALL_MARKETS`) on sales known before `until`; None with too few portfolios."""
    # where wallets rarely trade much in a month, pairs must do
    return _measure(con, market, config, until) or _measure(con, market, replace(config, min_sales=2), until)


def _measure(
    con: duckdb.DuckDBPyConnection, market: str, config: RiskConfig, until: datetime | None
) -> PortfolioRisk | None:
    chosen = "" if market == ALL_MARKETS else "and coalesce(c.\"chain\", 'unknown') = $market"
    asked: dict[str, object] = {"least": config.min_sales, "window": config.window, "until": until}
    table = con.execute(
        f"""
        with sales as (
            select w.collection, w.sale_id, w.known_at, w.target_log, w.prediction_log, w.premium_tier, w.half_80,
                s.buyer, s.seller
            from predictions.prior_walk_forward as w
            inner join marts.fct_sales as s on w.sale_id = s.sale_id
            inner join marts.dim_collections as c on w.collection = c.collection
            where w.half_80 > 0 and ($until::timestamp is null or w.known_at < $until) {chosen}
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
    price_log, prediction_log = column(table, "target_log"), column(table, "prediction_log")
    half, tier = column(table, "half_80"), column(table, "premium_tier").astype(np.int8)
    error = price_log - prediction_log
    mean_log = np.asarray(mean_corrections(error, half, tier, CalibrationConfig(mean_rows=len(error))))[tier]
    collection, _ = group_codes(table["collection"])
    portfolio, _ = group_codes(table["portfolio"])
    return estimate_risk(
        np.exp(prediction_log + mean_log), np.exp(price_log), error, half, collection, portfolio, config
    )
