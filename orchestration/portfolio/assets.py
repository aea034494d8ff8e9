"""Group portfolio: positions and gains of the owners in `wallets.yaml`, and the value of every wallet by day.

Here: glue over `ml.portfolio`. Not here: lots of single wallets, which are marts.
"""

from __future__ import annotations

import dagster as dg

from orchestration.conventions import LAKE_WRITER, MODEL_TEAM, column_schema
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots


@dg.asset(
    group_name="portfolio",
    deps=["fct_acquisitions", "fct_disposals"],
    owners=MODEL_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("predictions.wallet_positions"),
    description="What every owner of wallets.yaml holds, with cost and basis; own moves realise nothing.",
)
def wallet_positions(assay: AssayResource) -> dg.MaterializeResult:
    """`predictions.wallet_positions` (one row per owner and token), replaced."""
    from ml.portfolio.owners import read_owners
    from ml.portfolio.positions import record_positions
    from ml.states import LotMethod

    owners = read_owners(assay.settings.home_path)
    with assay.lake.write("positions of owners") as con:
        rows = record_positions(con, owners, LotMethod.FIFO)
    return dg.MaterializeResult(metadata={"rows_written": rows, "owners": len(owners)})


@dg.asset(
    group_name="portfolio",
    deps=["fct_acquisitions", "fct_disposals"],
    owners=MODEL_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("predictions.realized_gains"),
    description="What every owner of wallets.yaml gained by each disposal; no gain where cost or proceeds are unknown.",
)
def realized_gains(assay: AssayResource) -> dg.MaterializeResult:
    """`predictions.realized_gains` (one row per owner, disposal and lot), replaced."""
    from ml.portfolio.gains import record_gains
    from ml.portfolio.owners import read_owners
    from ml.states import LotMethod

    owners = read_owners(assay.settings.home_path)
    with assay.lake.write("gains of owners") as con:
        rows = record_gains(con, owners, LotMethod.FIFO)
    return dg.MaterializeResult(metadata={"rows_written": rows, "owners": len(owners)})


@dg.asset(
    group_name="portfolio",
    deps=["fct_wallet_positions", "token_estimates"],
    owners=MODEL_TEAM,
    kinds={"ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("predictions.wallet_valuations"),
    description="Value, interval and cost of what each wallet holds, one row per wallet and day on which they changed.",
)
def wallet_valuations(assay: AssayResource) -> dg.MaterializeResult:
    """`predictions.wallet_valuations`: rows of the day are replaced, those of earlier days stay."""
    from ml.portfolio.wallets import record_wallet_valuations

    with assay.lake.write("value every wallet") as con:
        report = record_wallet_valuations(con, assay.as_of)
    with assay.lake.read() as con:
        by_day = con.execute(
            "select as_of::date as day, sum(value_eth) as value_eth from predictions.wallet_valuations"
            " group by day order by day"
        ).fetchall()
    metadata = {**report, "values": plots.drawn("The value by day", lambda: plots.value_by_day(by_day))}
    return dg.MaterializeResult(metadata=metadata)


PORTFOLIO_ASSETS = [wallet_positions, wallet_valuations, realized_gains]
