"""Alerts about models: degraded ones, those put back, a queue beyond its budget, a registry that was lost.

Here: alerts that follow from the lake. Not here: delivery (`orchestration.alerts`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ml.monitoring.online_error import ALL, newest_online
from ml.registry.rebuilding import RULE as REGISTRY_REBUILT
from ml.retraining.policy import RULE_NOT_TRUSTED, RULE_PREVIOUS, RetrainingPolicy
from ml.retraining.queue import read_queue
from ml.retraining.tables import QUEUE
from ml.states import Action, ErrorState, QueueState
from ml.text.visible import visible
from orchestration.alerts.keys import incident_key
from orchestration.output.commands import assay_command
from orchestration.states import Severity

if TYPE_CHECKING:
    import duckdb

    from orchestration.alerts.outbox import Alert

SCOPE = "model"
"""The scope to synchronise these alerts under."""

DEGRADED_SCOPE, RESTORED_SCOPE = f"{SCOPE}/degraded", f"{SCOPE}/restored"
"""Scopes of the alerts about one collection each."""

OPEN_DAYS = 3
"""Days (of `as_of`) for which a model that was put back, or a registry made again, stays an open incident."""


def model_alerts(con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy) -> list[Alert]:
    """Every alert about models that is true at `as_of`."""
    return [
        *_degraded(con, as_of, policy),
        *_restored(con, as_of),
        *_budget(con, as_of, policy),
        *_registry_lost(con, as_of),
    ]


def _degraded(con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy) -> list[Alert]:
    """Degraded and not retrained yet: a training that was measured to help ends it before the window has passed."""
    from orchestration.alerts.outbox import Alert

    rows = con.execute(
        f"""
        select collection, n, mdape, past_mdape, med_5_mdape, past_med_5_mdape from ({newest_online()})
        where state = '{ErrorState.DEGRADED}' and window_end >= $as_of::timestamp - to_days($stale)
            and collection not in (select collection from {QUEUE} where state = '{QueueState.DONE}')
        order by collection
        """,
        {"as_of": as_of, "stale": int(policy.stale_days)},
    ).fetchall()
    alerts = []
    for name, n, mdape, past, simple, simple_past in rows:
        whose = "All collections together err" if name == ALL else f"{visible(name)} errs"
        against = (
            f" The median of the last five sales went from {simple_past:.1%} to {simple:.1%}."
            if simple is not None and simple_past is not None
            else ""
        )
        alerts.append(
            Alert(
                key=incident_key(DEGRADED_SCOPE, name),
                severity=Severity.PAGE if name == ALL else Severity.TICKET,
                title=f"{whose} more than before: {mdape:.1%} instead of {past:.1%}",
                body=f"Median error of the newest {n} clean sales, beyond noise.{against}",
                runbook="model-degraded",
                command="assay status" if name == ALL else assay_command("why", name),
                group=None if name == ALL else "collections err more than before",
            )
        )
    return alerts


def _restored(con: duckdb.DuckDBPyConnection, as_of: datetime) -> list[Alert]:
    from orchestration.alerts.outbox import Alert

    rows = con.execute(
        """
        select collection, action, reason, challenger from ops.decision_log
        where rule in ($previous, $distrust) and decided_at > $as_of::timestamp - to_days($days)
        qualify row_number() over (partition by collection order by decided_at desc) = 1
        order by collection
        """,
        {"previous": RULE_PREVIOUS, "distrust": RULE_NOT_TRUSTED, "as_of": as_of, "days": OPEN_DAYS},
    ).fetchall()
    return [
        Alert.of_collection(
            incident_key(RESTORED_SCOPE, collection),
            collection,
            "was rolled back" if action == Action.ROLLED_BACK else "fell back a tier",
            f"{reason}. {champion} prices it now, and its tokens have been valued again.",
            runbook="rolled-back",
            group="models were put back",
        )
        for collection, action, reason, champion in rows
    ]


def _budget(con: duckdb.DuckDBPyConnection, as_of: datetime, policy: RetrainingPolicy) -> list[Alert]:
    from orchestration.alerts.outbox import Alert

    queue = read_queue(con, as_of)
    if not queue.queued or queue.spent_today < policy.daily_budget:
        return []
    return [
        Alert(
            key=f"{SCOPE}/budget",
            severity=Severity.TICKET,
            title=f"{len(queue.queued)} collections wait: the day's budget of {policy.daily_budget} trainings is spent",
            body=f"{queue.spent_today} were trained out of turn today; the most valuable that wait: "
            f"{', '.join(map(visible, queue.queued[:5]))}.",
            runbook="retrain-budget-spent",
            command="assay settings",
        )
    ]


def _registry_lost(con: duckdb.DuckDBPyConnection, as_of: datetime) -> list[Alert]:
    """One alert, however many models it had: what was lost is the registry."""
    from orchestration.alerts.outbox import Alert

    names = [
        row[0]
        for row in con.execute(
            "select distinct collection from ops.decision_log where rule = $rule"
            " and decided_at > $as_of::timestamp - to_days($days) order by 1",
            {"rule": REGISTRY_REBUILT, "as_of": as_of, "days": OPEN_DAYS},
        ).fetchall()
    ]
    if not names:
        return []
    more = "" if len(names) <= 5 else f" and {len(names) - 5} more"
    return [
        Alert(
            key=f"{SCOPE}/registry",
            severity=Severity.TICKET,
            title=f"The model registry had lost {len(names)} model(s); they are registered again",
            body=f"From the lake, under the same versions: {', '.join(map(visible, names[:5]))}{more}. A damaged file "
            "was moved aside as mlflow.sqlite.damaged-…; versions that no snapshot has cannot be rolled back to.",
            runbook="home-damaged",
            command="assay doctor",
        )
    ]
