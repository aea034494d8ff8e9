"""The SLO part of a monitoring pass, and the alerts that follow from it.

Here: evaluate on one reading connection, then store in one short transaction. Not here: when a pass happens
(jobs and schedules), and delivery (`orchestration.alerts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ml.text.times import utc_minute
from orchestration.alerts.outbox import keep_incidents
from orchestration.home import api_watch
from orchestration.slo.api import register_api
from orchestration.slo.definitions import Slo, load_slos
from orchestration.slo.evaluation import Status, evaluate
from orchestration.slo.platform import register_runs
from orchestration.slo.tables import STATUS, read_samples, store
from orchestration.states import ALERTING, Severity

if TYPE_CHECKING:
    import dagster as dg
    import duckdb

    from lake.connection import Lake
    from orchestration.alerts.outbox import Alert, Synchronised
    from orchestration.resources import Assay
    from serving.metrics.expected_minutes import ApiWatch

# The scope to synchronise these alerts under (`orchestration.alerts.outbox.sync_alerts`).
SCOPE = "slo"


def measure_service_levels(
    assay: Assay, instance: dg.DagsterInstance | None
) -> tuple[list[Status], Synchronised]:
    """`monitoring.slo_samples` and `monitoring.slo_status`, and incidents about service levels.

    Args:
        assay: The home.
        instance: Its runs; without one, service levels about runs are "no data".
    """
    slos = load_slos()
    api = api_watch(assay.settings, assay.clock.now())
    statuses = watch_slos(assay.lake, slos, assay.as_of, instance, api)
    with assay.lake.read() as con:
        alerts = slo_alerts(con, slos)
    return statuses, keep_incidents(assay, SCOPE, alerts)


def measure(
    lake: Lake,
    slos: Sequence[Slo],
    as_of: datetime,
    instance: dg.DagsterInstance | None = None,
    api: ApiWatch | None = None,
) -> list[Status]:
    """Evaluate all SLOs for `as_of`, reading only. Without an instance, runs are "no data"; without `api`, requests."""
    with lake.read() as con:
        if api is not None:
            register_api(con, api, as_of)
        if instance is not None:
            register_runs(con, instance)
        return evaluate(con, slos, as_of, read_samples(con, as_of))


def watch_slos(
    lake: Lake,
    slos: Sequence[Slo],
    as_of: datetime,
    instance: dg.DagsterInstance | None = None,
    api: ApiWatch | None = None,
) -> list[Status]:
    """Evaluate all SLOs and keep samples and status. Doing it twice for one `as_of` changes nothing."""
    statuses = measure(lake, slos, as_of, instance, api)
    with lake.write("keep the SLO samples") as con:
        store(con, statuses, as_of, None if api is None else api.now)
    return statuses


def slo_alerts(con: duckdb.DuckDBPyConnection, definitions: Sequence[Slo]) -> list[Alert]:
    """The alerts of the last evaluation: one per SLO that burns enough to page or to be a ticket.

    An exhausted budget that is not being burnt any more is no alert: what spent it has alerted and recovered.
    SLOs that are not defined any more are left out, so that their alert recovers.
    """
    from orchestration.alerts.outbox import Alert

    known = {slo.name: slo for slo in definitions}
    rows = con.execute(
        "select slo, state, sli, value, bound, budget_left, burn_1h, burn_6h, burn_3d, hours_to_exhaustion,"
        f" evaluated_at from {STATUS} where list_contains($states, state) order by slo",
        {"states": list(ALERTING)},
    ).fetchall()
    return [
        Alert(
            key=f"{SCOPE}/{name}",
            severity=Severity(state),
            title=f"SLO {name}: {_burning(one_hour, six_hours, three_days)}",
            body=_body(known[name], sli, value, bound, left, hours, at),
            runbook=known[name].runbook,
            command=known[name].command,
            group="service levels burn their error budget",
        )
        for name, state, sli, value, bound, left, one_hour, six_hours, three_days, hours, at in rows
        if name in known
    ]


def _burning(*rates: float | None) -> str:
    fastest = max((rate for rate in rates if rate is not None), default=0.0)
    return f"the error budget burns {fastest:.1f} times too fast"


def _body(
    slo: Slo,
    sli: float,
    value: float | None,
    bound: str | None,
    left: float,
    hours: float | None,
    evaluated_at: datetime,
) -> str:
    measured = f" Measured {value:.4g}, promised {bound}." if value is not None and bound else ""
    lasts = (
        "the budget is spent"
        if left <= 0
        else f"it lasts {hours:.0f} h"
        if hours is not None
        else "and nothing is spent now"
    )
    return (
        f"{slo.description}{measured} {sli:.2%} good over {slo.window_days:g} days, promised {slo.objective:.2%}; "
        f"{max(left, 0):.0%} of the error budget left, {lasts}. As of {utc_minute(evaluated_at)}."
    )
