"""The asset `consistency`: what is due is compared with its source, once a day.

Here: glue over `orchestration.reconciliation.consistency`, and the incidents that follow. Not here: when it runs
(`orchestration.maintenance.jobs`).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from ml.text.markdown import markdown_text
from ml.text.visible import visible
from orchestration.conventions import DATA_TEAM, LAKE_WRITER, column_schema, incident_counts
from orchestration.dagster_resources import AssayResource
from orchestration.output import plots
from sources.contract import RAW_TABLES

if TYPE_CHECKING:
    from orchestration.alerts.outbox import Alert
    from orchestration.reconciliation.consistency import Pass
    from orchestration.reconciliation.lives import Life

SCOPE = "rows_differ"
"""Scope of the incidents about rows that differ from their source."""

SHOWN = 5
"""Days that an incident names."""


@dg.asset(
    group_name="operations",
    deps=[f"raw_{table}" for table in RAW_TABLES],
    owners=DATA_TEAM,
    kinds={"duckdb", "ducklake"},
    pool=LAKE_WRITER,
    metadata=column_schema("ops.consistency"),
    description="Compares rows of raw tables with their sources, row for row: the days of arrival that are due by what "
    "earlier comparisons say about how long rows stay equal, and a few early ones at random. Keeps what was found, and "
    "with 95 % confidence the greatest share of rows that may be inconsistent until tomorrow (ADR 59).",
)
def consistency(context: dg.AssetExecutionContext, assay: AssayResource) -> dg.MaterializeResult:
    """`ops.segment_lives` (replaced) and `ops.consistency` (one row more)."""
    from orchestration.alerts.outbox import keep_incidents
    from orchestration.reconciliation.consistency import check_consistency

    done = check_consistency(assay, np.random.default_rng())
    for problem in done.problems:
        context.log.warning(f"Not compared: {visible(problem)}")
    incidents = keep_incidents(assay, SCOPE, rows_differ(done))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(done.lives),
            "segments": len(done.current),
            "segments_due": done.due,
            "segments_compared": done.compared,
            "rows_compared": done.rows_compared,
            "rows_differing": done.bound.rows_differing,
            "not_compared": dg.MetadataValue.md(
                "\n".join(f"- {markdown_text(problem)}" for problem in done.problems) or "nothing"
            ),
            "segment_days_without_a_difference": done.exposure_days,
            "differences": done.differences,
            "method": done.method,
            "bound": done.bound.bound,
            "bound_by_days": plots.drawn(
                "The bound by days since a comparison", lambda: plots.survival_plot(*curves_of(done))
            ),
            "seconds": done.seconds,
            **incident_counts(incidents),
        }
    )


def curves_of(done: "Pass") -> tuple[np.ndarray, dict[str, np.ndarray], float]:
    """Days since a clean comparison, the bound by then of each source, and what is promised."""
    from orchestration.reconciliation.rechecks import LONGEST, TARGET, days_to_next

    ages = {
        source: np.full(1, np.median([life.since for life in lives]))
        for source in done.curves
        if (lives := [life for life in done.current if life.is_checked and life.key.source == source])
    }
    last = max(
        (2 * days_to_next(done.curves[source], age)[0] + 5 for source, age in ages.items()), default=5.0
    )
    days = np.linspace(0, min(last, LONGEST), 100)
    bounds = {
        source: done.curves[source].upper(np.full(100, age[0]), age[0] + days) for source, age in ages.items()
    }
    return days, bounds, TARGET


def rows_differ(done: "Pass") -> "list[Alert]":
    """An alert for each table and source with rows that differ, until a comparison finds them equal."""
    from orchestration.alerts.keys import incident_key
    from orchestration.alerts.outbox import Alert
    from orchestration.states import Severity

    found: dict[tuple[str, str], list[Life]] = defaultdict(list)
    for life in done.differing:
        found[life.key.table_name, life.key.source].append(life)
    return [
        Alert(
            key=incident_key(SCOPE, f"{table}/{source}"),
            severity=Severity.TICKET,
            title=f"{sum(life.differing_rows for life in lives):,} row(s) of raw.{table} differ from source "
            f"{visible(source)}",
            body=f"Days of arrival: {_days(lives)}. They were equal, or never compared, before.",
            runbook="rows-differ",
            command="assay reconcile",
            group="tables differ from their sources",
        )
        for (table, source), lives in sorted(found.items())
    ]


def _days(lives: "Sequence[Life]") -> str:
    days = sorted(life.key.day for life in lives)
    more = "" if len(days) <= SHOWN else f" and {len(days) - SHOWN} more"
    return ", ".join(map(str, days[:SHOWN])) + more
