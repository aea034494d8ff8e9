"""Drift in a monitoring pass: score on a reading connection, keep in a short transaction, draw the worst; alerts.

Here: the pass and its alerts. Not here: the statistics (`ml.drift`), when a pass happens (jobs), delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml.drift.config import DEFAULT_DRIFT, DriftConfig
from ml.drift.reports import DriftReport, write_reports
from ml.drift.scoring import FRESH, DriftPass, is_market, keep_scores, score_drift
from ml.drift.tables import STATUS
from ml.states import DriftState
from ml.text.times import utc_minute
from ml.text.visible import visible
from orchestration.alerts.keys import incident_key
from orchestration.alerts.outbox import keep_incidents
from orchestration.output.commands import assay_command
from orchestration.states import Severity

if TYPE_CHECKING:
    import duckdb

    from lake.connection import Lake
    from orchestration.alerts.outbox import Alert, Synchronised
    from orchestration.resources import Assay

#: The scope to synchronise these alerts under (`orchestration.alerts.outbox.sync_alerts`).
SCOPE = "drift"
WORST_WITH_REPORT = 5
#: Share of the tested collections above which drift is one event of the market rather than many of collections.
WIDESPREAD = 0.1


@dataclass(frozen=True)
class Drifted:
    """How many collections are drifted by their newest window, of how many with a tested one; markets apart."""

    collections: int
    tested: int
    markets: int

    @property
    def share(self) -> float:
        """Drifted share of the tested collections; 0 before any is."""
        return self.collections / self.tested if self.tested else 0.0


@dataclass(frozen=True)
class Watched:
    """Result of a pass: what was scored now, what is drifted now, and pages about the worst."""

    scored: DriftPass
    standing: Drifted
    reports: list[DriftReport]


def find_drift(assay: Assay) -> tuple[Watched, Synchronised]:
    """`monitoring.drift_scores` and `monitoring.drift_status`, pages about the worst, and incidents about drift."""
    found = watch_drift(assay.lake, assay.settings.home_path / "reports" / "drift", assay.as_of)
    with assay.lake.read() as con:
        alerts = drift_alerts(con)
    return found, keep_incidents(assay, SCOPE, alerts)


def watch_drift(
    lake: Lake,
    folder: Path,
    as_of: datetime,
    config: DriftConfig = DEFAULT_DRIFT,
    worst: int = WORST_WITH_REPORT,
) -> Watched:
    """Score what has a new window, keep it, and write the reports of the worst. Twice for one `as_of` changes nothing.

    Args:
        lake: the lake of the home.
        folder: where the reports go.
        as_of: nothing known at or after it is used.
        config: thresholds.
        worst: how many collections get a report.
    """
    with lake.read() as con:
        scored = score_drift(con, as_of, config)
        fresh = con.execute(f"from {FRESH}").to_arrow_table()
    with lake.write("keep the drift scores") as con:
        con.register("new_scores", fresh)
        con.execute(f"create or replace temp table {FRESH} as from new_scores")
        con.unregister("new_scores")
        keep_scores(con, as_of, config)
    with lake.read() as con:
        return Watched(scored, standing_drift(con), write_reports(con, folder, as_of, worst, config))


def standing_drift(con: duckdb.DuckDBPyConnection) -> Drifted:
    """Collections and markets that are drifted by their newest windows."""
    rows = con.execute(f"select collection, state from {STATUS} where tested > 0").fetchall()
    drifted = [name for name, state in rows if state == DriftState.DRIFTED]
    markets = sum(is_market(name) for name in drifted)
    return Drifted(len(drifted) - markets, sum(not is_market(name) for name, _ in rows), markets)


def drift_alerts(con: duckdb.DuckDBPyConnection) -> list[Alert]:
    """One alert per drifted collection or market, grouped; none for what its champion has learnt since.

    A champion fitted on the window's sales covers the market after the change: no action is needed.
    """
    from orchestration.alerts.outbox import Alert

    rows = con.execute(
        f"""
        select collection, drifted, tested, worst_feature, worst_kind, score, window_start, window_end
        from {STATUS}
        left join (select collection, trained_until from ops.champions) using (collection)
        where state = '{DriftState.DRIFTED}' and (trained_until is null or trained_until < window_end)
        order by collection
        """
    ).fetchall()
    return [
        Alert(
            key=incident_key(SCOPE, name),
            severity=Severity.TICKET,
            title=f"{visible(name)} drifted: {worst} ({kind})",
            body=f"{drifted} of {tested} distributions moved in two of the last three windows. {worst} is {score:.1f} "
            f"times its ordinary distance from the reference. Newest window: {utc_minute(start)} to "
            f"{utc_minute(end)}.",
            runbook="drift",
            command="assay status" if is_market(name) else assay_command("why", name),
            group="collections drifted",
        )
        for name, drifted, tested, worst, kind, score, start, end in rows
    ]
