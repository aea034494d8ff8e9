"""Compare the simulated market with the real one: the same statistics of both.

Here: the statistics, as SQL over raw sales and listings, and the comparison. Not here: the numbers the
simulator is set to (`sources.simulator.config`). Run it on a directory the files source can read:

    python -m benchmarks.simulator_calibration DIR

Prices are in ETH or WETH (one for one); "clean" is a rough arm's-length filter that needs no marts:
secondary, price > 0, one sale in the transaction, buyer and seller differ, not below a third of the
trailing 10th percentile.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

import duckdb
import pyarrow as pa

from sources.files.source import FilesSource
from sources.protocol import Source
from sources.simulator.source import open_simulator
from sources.values import connect

_LIQUID = 200  # Clean sales from which a collection's statistics mean something (docs/domain.md, section 5).

_PREPARE = f"""
create or replace temp table ordered as
select collection, token_id, event_time, known_at, tx_hash, price_native as price, buyer, seller, n_in_tx,
    n_in_tx > 1 or count(*) over (partition by chain, tx_hash) > 1 as is_bundle,
    sale_type, row_number() over (order by event_time, tx_hash, log_index) as n
from sales
where currency in ('ETH', 'WETH') and superseded_by is null and chain <> 'wax';

create or replace temp table candidate_sales as
select *, quantile_cont(price, 0.1) over (
        partition by collection order by n rows between 50 preceding and 1 preceding) as p10
from ordered
where price > 0 and not is_bundle and sale_type is distinct from 'primary' and buyer is distinct from seller;

create or replace temp table clean as
select collection, token_id, event_time, ln(price) as y, n,
    median(ln(price)) over (w rows between 5 preceding and 1 preceding) as med_5,
    median(ln(price)) over (w rows between 30 preceding and 1 preceding) as med_30,
    quantile_cont(ln(price), 0.2) over (w rows between 50 preceding and 1 preceding) as p20,
    quantile_cont(ln(price), 0.8) over (w rows between 50 preceding and 1 preceding) as p80,
    quantile_cont(ln(price), 0.1) over (w rows between 50 preceding and 1 preceding) as p10,
    row_number() over w as seq, count(*) over (partition by collection) as sales
from candidate_sales
where price >= coalesce(p10 / 3, 0)
window w as (partition by collection order by n);

create or replace temp table liquid as select * from clean where sales >= {_LIQUID} and seq > 50;

create or replace temp table repeats as
select y - lag(y) over t - (med_30 - lag(med_30) over t) as r,
    date_diff('second', lag(event_time) over t, event_time) / 86400.0 as days
from clean
where sales >= {_LIQUID} and seq > 30
window t as (partition by collection, token_id order by n);

create or replace temp table daily as
select collection, event_time::date as day, median(y) as level, count(*) as sales
from liquid group by all having count(*) >= 5;
"""

_ERROR = """select 100 * median(e) from (
    select median(abs(exp({} - y) - 1)) as e from liquid group by collection
)"""
_STATISTICS: tuple[tuple[str, str, str], ...] = (
    (
        "clean sales per collection, median",
        "",
        "select median(sales) from (select distinct collection, sales from clean)",
    ),
    (
        "clean sales per collection, 90 % / 50 %",
        "x",
        """select quantile_cont(sales, 0.9) / median(sales)
        from (select distinct collection, sales from clean)""",
    ),
    (
        "premium over p20 of 50: share below 1.25x",
        "%",
        "select 100 * avg((y - p20 < ln(1.25))::int) from liquid",
    ),
    (
        "premium over p20 of 50: share 1.25x to 2x",
        "%",
        "select 100 * avg((y - p20 between ln(1.25) and ln(2))::int) from liquid",
    ),
    ("premium over p20 of 50: share above 2x", "%", "select 100 * avg((y - p20 > ln(2))::int) from liquid"),
    (
        "spread ln(p80/p10) of 50, median over collections",
        "",
        "select median(s) from (select median(p80 - p10) as s from liquid group by collection)",
    ),
    (
        "error of trailing p20 of 50 (MdAPE, median over collections)",
        "%",
        _ERROR.format("p20"),
    ),
    (
        "error of trailing median of 30",
        "%",
        _ERROR.format("med_30"),
    ),
    (
        "error of trailing median of 5",
        "%",
        _ERROR.format("med_5"),
    ),
    (
        "daily change of the median price, robust sd",
        "",
        """select quantile_cont(abs(d), 0.5) * 1.4826 from (
            select level - lag(level) over w as d, day - lag(day) over w as gap from daily
            window w as (partition by collection order by day)
        ) where gap = 1""",
    ),
    (
        "repeat sale within 7 days against the index, robust sd per sale",
        "",
        "select quantile_cont(abs(r), 0.5) * 1.4826 / sqrt(2) from repeats where days <= 7",
    ),
    (
        "repeat sale within 7 days against the index, 90 % / 50 %",
        "x",
        "select quantile_cont(abs(r), 0.9) / quantile_cont(abs(r), 0.5) from repeats where days <= 7",
    ),
    (
        "sales whose token sold within 7 days before",
        "%",
        "select 100 * avg(coalesce(days <= 7, false)::int) from repeats",
    ),
    ("zero prices", "%", "select 100 * avg((price_native = 0)::int) from sales where chain <> 'wax'"),
    (
        "other currencies than ETH and WETH",
        "%",
        "select 100 * avg((currency not in ('ETH','WETH'))::int) from sales where chain <> 'wax'",
    ),
    ("sales in bundles", "%", "select 100 * avg(is_bundle::int) from ordered"),
    ("self trades", "%", "select 100 * avg((buyer = seller)::int) from ordered where buyer is not null"),
    (
        "round trips within 7 days (same token back to its seller)",
        "%",
        """select 100 * count(distinct a.n)
            / (select count(*) from ordered where sale_type is distinct from 'primary')
        from ordered as a join ordered as b
            on b.collection = a.collection and b.token_id = a.token_id
            and b.seller = a.buyer and b.buyer = a.seller
            and b.event_time between a.event_time and a.event_time + interval 7 day and b.n <> a.n""",
    ),
    (
        "rows that report a sale again",
        "%",
        """select 100.0 * (sum(c) - count(*)) / sum(c) from (
            select count(*) as c from sales
            where chain <> 'wax' and not starts_with(tx_hash, 'row:') group by chain, tx_hash, token_id
        )""",
    ),
    ("primary sales", "%", "select 100 * avg((sale_type = 'primary')::int) from sales where chain <> 'wax'"),
    (
        "sales that accept a bid (where the side is known)",
        "%",
        "select 100 * avg((side = 'bid_accepted')::int) from sales",
    ),
    (
        "bids among orders created",
        "%",
        "select 100 * avg((side = 'bid')::int) from listings where event_kind = 'created'",
    ),
)


def statistics(sales: pa.Table, listings: pa.Table) -> dict[str, tuple[float | None, str]]:
    """Market statistics of raw sales and listings.

    Args:
        sales: Rows of raw.sales.
        listings: Rows of raw.listings.

    Returns:
        Name → (value, unit); None where the data do not give it (e.g. no side is known).
    """
    con = connect()
    try:
        con.register("sales", sales)
        con.register("listings", listings)
        con.execute(_PREPARE)
        return {name: (_number(con, sql), unit) for name, unit, sql in _STATISTICS}
    finally:
        con.close()


def _number(con: duckdb.DuckDBPyConnection, sql: str) -> float | None:
    row = con.execute(sql).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def compare(real: Mapping[str, pa.Table], simulated: Mapping[str, pa.Table]) -> pa.Table:
    """The two markets side by side.

    Args:
        real: Tables `sales` and `listings` of the real bundle.
        simulated: The same of the simulator.

    Returns:
        statistic, unit, real, simulated; one row per statistic.
    """
    one, two = (statistics(m["sales"], m["listings"]) for m in (real, simulated))
    return pa.table(
        {
            "statistic": pa.array(list(one)),
            "unit": pa.array([unit for _, unit in one.values()]),
            "real": pa.array([value for value, _ in one.values()], pa.float64()),
            "simulated": pa.array([two[name][0] for name in one], pa.float64()),
        }
    )


def market(source: Source, start: datetime | None = None, end: datetime | None = None) -> dict[str, pa.Table]:
    """The raw sales and listings of a source."""
    first, last = start or source.first_known(), end or source.watermark()
    return {
        name: pa.concat_tables([batch.rows for batch in source.read(name, first, last)])
        for name in ("sales", "listings")
    }


def lines(comparison: pa.Table) -> list[str]:
    """The comparison as text, one line per statistic."""
    text = [f"{'statistic':64s} {'real':>9s} {'simulated':>9s}"]
    for row in comparison.to_pylist():
        cells = ["-" if row[c] is None else f"{row[c]:.3g}" for c in ("real", "simulated")]
        text.append(f"{row['statistic'][:64]:64s} {cells[0]:>9s} {cells[1]:>9s} {row['unit']}")
    return text


def main(arguments: list[str]) -> int:
    """Print the comparison of a real directory with the default simulator."""
    if len(arguments) != 1:
        sys.stderr.write("expected one argument: the directory of the real market data\n")
        return 2
    real = market(FilesSource(arguments[0]))
    simulated = market(open_simulator(collections=200, days=365))
    sys.stdout.write("\n".join(lines(compare(real, simulated))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
