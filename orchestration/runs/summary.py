"""The result of a run, read back from the lake.

Here: the numbers of the closing table and of `--json`. Not here: printing (`orchestration.cli.render`), running
(`orchestration.runs.main_job`). This is the one module outside the simulator that may read schema `truth`: it scores
estimates against it.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

    from lake.connection import Lake


@dataclass
class Stage:
    """Wall seconds of one stage and the rows it wrote (None where rows mean nothing)."""

    name: str
    seconds: float
    rows: int | None = None


@dataclass
class RunSummary:
    """The result of `assay run`. Counts are totals of the home, not of this run, except `stages`."""

    collections: int
    tokens: int
    tokens_estimated: int
    sales: int
    sales_arms_length: int
    quarantined: int
    models_by_tier: dict[str, int]
    errors: dict[str, Any]
    truth: dict[str, float] | None
    stages: list[Stage]
    peak_rss_mb: float
    reconciliation: list[dict[str, Any]]
    as_of: str
    home: str
    trained: dict[str, int] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seconds: float | None = None
    """Wall seconds of the whole command, start-up included; None where no command has run it."""

    def to_json(self) -> dict[str, Any]:
        """Plain types only."""
        return asdict(self)


def peak_rss_mb() -> float:
    """Largest resident set of this process or of any child so far, in MB (Linux counts KB, macOS bytes)."""
    unit = 1024 if sys.platform != "darwin" else 1
    largest = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest * unit / 1e6


def read_summary(
    lake: Lake, stages: list[Stage], trained: dict[str, int], *, home: str, as_of: str
) -> RunSummary:
    """Everything the closing table shows."""
    with lake.read() as con:
        return RunSummary(
            collections=_count(con, "select count(*) from marts.dim_collections"),
            tokens=_count(con, "select count(*) from marts.dim_tokens"),
            tokens_estimated=_count(con, "select count(estimate_eth) from predictions.token_estimates"),
            sales=_count(con, "select count(*) from raw.sales"),
            sales_arms_length=_count(con, "select count(*) from marts.fct_sales where is_arms_length"),
            quarantined=_count(con, "select count(*) from raw.quarantine where status = 'open'"),
            models_by_tier=_tiers(con),
            errors=_errors(con),
            truth=error_against_truth(con),
            stages=stages,
            peak_rss_mb=round(peak_rss_mb(), 1),
            reconciliation=_reconciliation(con),
            as_of=as_of,
            home=home,
            trained=trained,
            quarantine=_quarantine(con),
        )


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _tiers(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Collections by the tier most of their tokens are valued with."""
    rows = con.execute(
        "select tier, count(*) from (select collection, mode(tier) as tier from predictions.token_estimates group by 1)"
        " group by 1 order by 2 desc, 1"
    ).fetchall()
    return {str(tier): int(n) for tier, n in rows}


def _errors(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    row = con.execute("select document from monitoring.accuracy_report").fetchone()
    return dict(json.loads(row[0])) if row else {}


def _reconciliation(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return con.execute("select * from marts.sales_reconciliation order by all").to_arrow_table().to_pylist()


def _quarantine(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The commonest reasons of what waits, each with what was expected and one row's example of what was found."""
    return (
        con.execute(
            "select table_name, reason, column_name, count(*) as rows, any_value(expected) as expected,"
            " arg_min(found, source_row) as found, min(source_row) as source_row"
            " from raw.quarantine where status = 'open' group by all order by rows desc, 1, 2, 3 limit 5"
        )
        .to_arrow_table()
        .to_pylist()
    )


def error_against_truth(con: duckdb.DuckDBPyConnection) -> dict[str, float] | None:
    """Estimates against the simulator's hidden values at the same time, as fractions; None where there is no truth.

    The level is interpolated linearly between the two midnights around `as_of`, as the simulator does.
    """
    rows = con.execute(
        """
        with levels as (
            select collection, day, log_level, lead(log_level) over (partition by collection order by day) as next_level
            from truth.collection_levels
        )
        select
            ln(e.estimate_eth) - l.log_level - t.log_effect
            - (coalesce(l.next_level, l.log_level) - l.log_level)
            * (epoch(e.as_of) - epoch(l.day::timestamp)) / 86400 as error_log
        from predictions.token_estimates e
        join truth.token_effects t using (collection, token_id)
        join levels l on l.collection = e.collection and l.day = cast(e.as_of - interval 1 microsecond as date)
        where e.estimate_eth is not null
        """
    ).fetchnumpy()
    errors = np.asarray(rows["error_log"], dtype=float)
    if errors.size == 0:
        return None
    ape = np.abs(np.expm1(errors))
    return {
        "n": int(errors.size),
        "mdape": float(np.median(ape)),
        "mape": float(ape.mean()),
        "ppe20": float(np.mean(ape <= 0.20)),
        "level": float(np.median(np.exp(errors))),
    }
