"""Sums of wallets against what their tokens fetched: error, and how often the 80 % interval held the sum.

    python -m benchmarks.portfolios HOME LEDGER [PORTFOLIOS]

HOME is a finished home of the same data, LEDGER the file of `assay backtest --out`, PORTFOLIOS a Parquet file with
owner, collection and token_id at a time: then only tokens count that the wallet still holds there. The components of
the risk are measured on sales known before the ledger begins, as production would have known them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import numpy as np

from lake.config import LakeConfig
from lake.connection import Lake
from ml.compute.matrix import column, group_codes
from ml.portfolio.past import ALL_MARKETS, measure_risk
from ml.portfolio.risk import PortfolioRisk, RiskConfig, log_variance, sum_interval
from ml.tables.registry import TABLES

LEAST_TOKENS = 5

_DEALS = """
with deals as (
    select l.collection, l.token_id, l.chain, l.price_eth, l.expected_eth, ln(l.upper_eth / l.estimate_eth) as half,
        l.{side} as wallet
    from read_parquet($ledger) as l
    where l.is_arms_length and l.expected_eth is not null and l.upper_eth is not null and l.{side} is not null
)
select d.* from deals as d {held}
qualify count(*) over (partition by d.wallet) >= {least}
order by d.wallet
"""


def measure(home: Path, ledger: str, portfolios: str | None) -> list[str]:
    """Lines with the error and the coverage of what wallets bought, sold and, if given, hold."""
    config = RiskConfig()
    lake = Lake(LakeConfig(home=home), TABLES)
    with lake.read() as con:
        first = con.execute("select min(event_time) from read_parquet($1)", [ledger]).fetchone()
        assert first is not None
        chains = con.execute("select distinct chain from read_parquet($1) order by 1", [ledger]).fetchall()
        risks = {
            name: measure_risk(con, name, config, until=first[0])
            for name in (ALL_MARKETS, *(c for (c,) in chains))
        }
        groups = [("bought", "buyer", ""), ("sold", "seller", "")]
        if portfolios:
            join = "semi join read_parquet($portfolios) as p on lower(p.owner) = d.wallet and {}"
            held = join.format("p.collection = d.collection and p.token_id = d.token_id")
            groups.insert(0, ("bought and still held", "buyer", held))
        return [
            _line(con, name, side, held, ledger, portfolios, risks, config) for name, side, held in groups
        ]


def _line(
    con: duckdb.DuckDBPyConnection,
    name: str,
    side: str,
    held: str,
    ledger: str,
    portfolios: str | None,
    risks: dict[str, PortfolioRisk | None],
    config: RiskConfig,
) -> str:
    asked = {"ledger": ledger, **({"portfolios": portfolios} if held else {})}
    table = con.execute(_DEALS.format(side=side, held=held, least=LEAST_TOKENS), asked).to_arrow_table()
    wallet, _ = group_codes(table["wallet"])
    collection, _ = group_codes(table["collection"])
    market, markets = group_codes(table["chain"])
    known = [risks.get(str(m)) or risks[ALL_MARKETS] for m in markets]
    if any(risk is None for risk in known) or not len(wallet):
        return f"{name}: no components of the risk, or no wallet with {LEAST_TOKENS} tokens"
    components = [risk for risk in known if risk is not None]
    price, expected, half = (column(table, c) for c in ("price_eth", "expected_eth", "half"))
    inside, errors, total = 0, [], np.zeros(2)
    edges = np.flatnonzero(np.diff(wallet)) + 1
    parts = np.split(np.arange(len(wallet)), edges)
    for rows in parts:
        variance = log_variance(
            expected[rows], half[rows], collection[rows], components, market[rows], config
        )
        quantile = max(components[m].quantile_80 for m in np.unique(market[rows]))
        low, high = sum_interval(float(expected[rows].sum()), variance, quantile)
        inside += low <= price[rows].sum() <= high
        errors.append(abs(expected[rows].sum() / price[rows].sum() - 1.0))
        total += (expected[rows].sum(), price[rows].sum())
    return (
        f"{name}: {len(parts)} wallets, {len(wallet)} tokens; 80 % interval holds {100 * inside / len(parts):.1f} %; "
        f"sum ratio {total[0] / total[1]:.3f}; median error of sums {100 * np.median(errors):.1f} %"
    )


if __name__ == "__main__":
    print(*measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None), sep="\n")
