"""How well a collection's prices were predicted so far.

Here: walk-forward errors of one collection next to those of the baselines. Not here: the report over all collections
(`ml.accuracy.walk_forward_report`), whose sample this is.

Concept: every sale of the sample was priced by models that had not seen it. The sample is the newest 30 % of the
collection's sales as in the accuracy report, but at least 20 where there are as many: fewer show nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from ml.accuracy.config import AccuracyConfig
from ml.compute.matrix import column
from ml.metrics.formulas import coverage, point_metrics
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
    table = con.execute(
        f"""
        with numbered as (
            select *, row_number() over (order by seq desc) as place, count(*) over () as size
            from predictions.prior_walk_forward where collection = $1
        )
        select w.known_at, w.target_log, coalesce(l.prediction_log, w.prediction_log) as model_log,
            w.base_log, w.half_80,
            {", ".join(f"w.{source}" for source in BASELINE_COLUMNS.values())}
        from numbered as w left join predictions.local_walk_forward as l on w.sale_id = l.sale_id
        where w.place <= greatest($2, ceil($3 * w.size))
        order by w.seq
        """,
        [collection, ENOUGH_SALES, AccuracyConfig().last_share],
    ).to_arrow_table()
    if table.num_rows == 0:
        return None
    price, estimate = column(table, "target_log"), column(table, "model_log")
    found = point_metrics(estimate, price)
    covered = coverage(price - estimate, column(table, "half_80"))
    others = {"index": "base_log", **BASELINE_COLUMNS}
    errors = {name: point_metrics(column(table, source), price).mdape for name, source in others.items()}
    known = table["known_at"]
    return TrackRecord(
        n=found.n,
        since=known[0].as_py(),
        until=known[-1].as_py(),
        mdape=found.mdape,
        level=found.level,
        coverage_80=_number(covered),
        baselines={name: _number(value) for name, value in errors.items()},
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
