"""Query the lake of a home: accuracy by grade, collections, a price over time, an export.

    .venv/bin/python examples/query_the_lake.py [HOME]

HOME is `.assay` unless given: what `make run` makes. Reading waits for no job and disturbs none. All columns with
their units: docs/columns.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lake.config import LakeConfig
from lake.connection import Lake

ACCURACY_BY_GRADE = """
    select coalesce(grade, 'none') as grade, count(*) as sales,
           round(100 * median(abs(estimate_eth / price_eth - 1)), 1) as mdape_percent,
           round(100 * avg((price_eth between lower_eth and upper_eth)::int), 1) as inside_80_percent
    from monitoring.estimate_ledger
    where is_arms_length and estimate_eth is not null
    group by all order by grade
"""

COLLECTIONS = """
    select collection, count(*) as tokens, round(min(estimate_eth), 3) as lowest_eth,
           round(median(estimate_eth), 3) as median_eth, round(max(estimate_eth), 3) as highest_eth,
           round(100 * median((upper_80_eth - lower_80_eth) / estimate_eth), 1) as interval_percent
    from predictions.token_estimates
    where estimate_eth is not null
    group by all order by median_eth desc limit 10
"""

PRICE_OVER_TIME = """
    select as_of, round(estimate_eth, 4) as estimate_eth, round(lower_80_eth, 4) as lower_80_eth,
           round(upper_80_eth, 4) as upper_80_eth, tier, model_version, snapshot_id
    from predictions.estimate_history
    join (select collection, token_id from predictions.token_estimates
          where last_sale_eth is not null order by collection, token_id limit 1) using (collection, token_id)
    order by as_of
"""

ALL_ESTIMATES = "select * from predictions.token_estimates order by collection, token_id"


def main(home: Path, export: Path) -> None:
    """Print three tables of a home, and write its estimates to a Parquet file."""
    with Lake(LakeConfig(home=home)).read() as con:
        for title, query in (
            ("Errors of estimates that were frozen before the sale, by grade", ACCURACY_BY_GRADE),
            ("The dearest collections", COLLECTIONS),
            ("Every estimate ever published for one token", PRICE_OVER_TIME),
        ):
            print(title)
            print(con.sql(query))
        con.sql(ALL_ESTIMATES).write_parquet(str(export))
        print(f"All estimates: {export}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".assay"), Path("estimates.parquet"))
