"""How well a collection's prices were predicted so far.

Here: walk-forward errors of collections next to those of the baselines. Not here: the report over all collections
(`ml.accuracy.walk_forward_report`), whose sample this is.

Concept: every sale of the sample was priced by models that had not seen it. The sample is the newest 30 % of the
collection's sales as in the accuracy report, but at least 20 where there are as many: fewer show nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ml.accuracy.config import AccuracyConfig
from ml.compute.matrix import column, group_codes
from ml.metrics.formulas import coverage_by_group, mdape_by_group, median_by_group
from ml.models.collection_reader import BASELINE_COLUMNS

ENOUGH_SALES = 20
"""Sales below which an error is not meaningful (docs/domain.md, section 3)."""


@dataclass(frozen=True)
class TrackRecord:
    """Errors on a collection's newest walk-forward sales; shares and errors are fractions.

    Attributes:
        n: Sales in the sample.
        since: When the first of them became known (UTC).
        until: When the last of them became known (UTC).
        mdape: Median absolute percentage error of the estimates.
        level: Median estimate / price.
        coverage_80: Share of prices inside their 80 % interval, None without intervals.
        baselines: MdAPE of the index alone and of each baseline, None where it had no value.
    """

    n: int
    since: datetime
    until: datetime
    mdape: float
    level: float
    coverage_80: float | None
    baselines: dict[str, float | None]

    @property
    def enough(self) -> bool:
        """Whether the numbers mean something."""
        return self.n >= ENOUGH_SALES

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        times = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return asdict(self) | times | {"enough": self.enough}


def track_record(con: duckdb.DuckDBPyConnection, collection: str) -> TrackRecord | None:
    """Track record of a collection, or None before any of its sales was walked."""
    return track_records(con, [collection]).get(collection)


def track_records(con: duckdb.DuckDBPyConnection, collections: Sequence[str]) -> dict[str, TrackRecord]:
    """Track records by collection, of those that have walked sales."""
    con.register("_asked", pa.table({"collection": pa.array(collections, pa.string())}))
    try:
        table = con.execute(_SQL, [ENOUGH_SALES, AccuracyConfig().last_share]).to_arrow_table()
    finally:
        con.unregister("_asked")
    if table.num_rows == 0:
        return {}
    group, names = group_codes(table["collection"])
    groups, price, estimate = len(names), column(table, "target_log"), column(table, "model_log")
    error = estimate - price
    usable = np.isfinite(error)
    n = np.bincount(group[usable], minlength=groups)
    level = median_by_group(np.exp(error[usable]), group[usable], groups)
    covered = coverage_by_group(error, column(table, "half_80"), group, groups)
    mdape = mdape_by_group(estimate, price, group, groups)
    others = {"index": "base_log", **BASELINE_COLUMNS}
    errors = {
        name: mdape_by_group(column(table, source), price, group, groups) for name, source in others.items()
    }
    times = table.group_by("collection").aggregate([("known_at", "min"), ("known_at", "max")])
    since, until = (
        dict(zip(times["collection"].to_pylist(), times[f"known_at_{end}"].to_pylist(), strict=True))
        for end in ("min", "max")
    )
    return {
        name: TrackRecord(
            n=int(n[at]),
            since=since[name],
            until=until[name],
            mdape=float(mdape[at]),
            level=float(level[at]),
            coverage_80=_number(covered[at]),
            baselines={baseline: _number(values[at]) for baseline, values in errors.items()},
        )
        for at, name in enumerate(names)
    }


_SQL = f"""
    with numbered as (
        select w.*, row_number() over (partition by collection order by seq desc) as place,
            count(*) over (partition by collection) as size
        from predictions.prior_walk_forward as w where collection in (select collection from _asked)
    )
    select w.collection, w.known_at, w.target_log, coalesce(l.prediction_log, w.prediction_log) as model_log,
        w.base_log, w.half_80, {", ".join(f"w.{source}" for source in BASELINE_COLUMNS.values())}
    from numbered as w left join predictions.local_walk_forward as l on w.sale_id = l.sale_id
    where w.place <= greatest($1, ceil($2 * w.size))
"""


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
