"""The stages of a monitoring pass: the ledger, errors, drift, service levels, the queue.

Here: what each asset of group monitoring does. A stage that finds something opens and ends its own incidents, so that
one that fails silences no other. Not here: any figure (`ml.evaluation`, `ml.drift`, `orchestration.slo`), what is
launched (`orchestration.retraining`).

Concept: every stage reads what the one before has written and doing it twice at one instant changes nothing, so a pass
that was killed is finished by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.retraining.worklist import acting_policy

if TYPE_CHECKING:
    import dagster as dg

    from ml.ledger.estimate_ledger import LedgerUpdate
    from ml.monitoring.online_error import OnlineUpdate
    from ml.retraining.queue import QueueState
    from orchestration.alerts.outbox import Alert, Synchronised
    from orchestration.monitoring.drift import Watched
    from orchestration.resources import Assay
    from orchestration.slo.evaluation import Status


def enter_sales(assay: Assay) -> LedgerUpdate:
    """New and corrected sales into `monitoring.estimate_ledger`."""
    from ml.ledger.estimate_ledger import update_estimate_ledger

    with assay.lake.write("enter new sales into the ledger") as con:
        return update_estimate_ledger(con, assay.horizon)


def judge_errors(assay: Assay) -> OnlineUpdate:
    """`monitoring.online_metrics` and `monitoring.mape_buckets`."""
    from ml.monitoring.error_buckets import update_mape_buckets
    from ml.monitoring.online_error import update_online_metrics

    with assay.lake.write("judge the errors of the newest sales") as con:
        update = update_online_metrics(con, assay.horizon)
        update_mape_buckets(con, assay.horizon)
        return update


def find_drift(assay: Assay) -> tuple[Watched, Synchronised]:
    """`monitoring.drift_scores` and `monitoring.drift_status`, pages about the worst, and incidents about drift."""
    from orchestration.monitoring import drift

    found = drift.watch_drift(assay.lake, assay.settings.home_path / "reports" / "drift", assay.horizon)
    with assay.lake.read() as con:
        alerts = drift.drift_alerts(con)
    return found, _synchronise(assay, drift.SCOPE, alerts)


def measure_service_levels(
    assay: Assay, instance: dg.DagsterInstance | None
) -> tuple[list[Status], Synchronised]:
    """`monitoring.slo_samples` and `monitoring.slo_status`, and incidents about service levels.

    Args:
        assay: The home.
        instance: Its runs; without one, service levels about runs are "no data".
    """
    from orchestration.slo import watch
    from orchestration.slo.definitions import load_slos

    slos = load_slos()
    statuses = watch.watch_slos(assay.lake, slos, assay.horizon, instance)
    with assay.lake.read() as con:
        alerts = watch.slo_alerts(con, slos)
    return statuses, _synchronise(assay, watch.SCOPE, alerts)


def queue_work(assay: Assay, instance: dg.DagsterInstance | None) -> tuple[QueueState, int, Synchronised]:
    """`ops.decision_effects` and `ops.retrain_queue`, and incidents about models and their files.

    Collections that an ended run did not train wait again.

    Args:
        assay: The home.
        instance: Its runs; without one, ended runs keep what they did not train.

    Returns:
        What waits, the decisions whose effect was measured for the first time, and the incidents.
    """
    from ml.retraining.effects import measure_effects
    from ml.retraining.queue import launched_runs, refresh_queue, release
    from orchestration.models.lost_files import find_lost_files
    from orchestration.retraining import notices

    policy, as_of = acting_policy(assay.settings), assay.horizon
    with assay.lake.read() as con:
        runs = launched_runs(con)
    ended = [run for run in runs if instance is not None and _has_ended(instance, run)]
    with assay.lake.write("queue what needs a training") as con:
        if ended:
            release(con, ended)
        effects = measure_effects(con, as_of, policy)
        queue = refresh_queue(con, as_of, policy)
    find_lost_files(assay)
    with assay.lake.read() as con:
        alerts = notices.model_alerts(con, as_of, policy)
    return queue, effects, _synchronise(assay, notices.SCOPE, alerts)


def _synchronise(assay: Assay, scope: str, alerts: list[Alert]) -> Synchronised:
    """Make the open incidents of a scope those that are true now."""
    from orchestration.alerts.outbox import sync_alerts
    from orchestration.alerts.store import Outbox

    return sync_alerts(Outbox.of(assay.settings.home_path), scope, alerts, assay.clock.now())


def _has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is over or not known any more: what it launched and did not train, it never will.

    Also one that succeeded: a few collections may fail in it.
    """
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished
