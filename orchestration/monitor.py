"""One monitoring pass: the ledger, errors, drift, service levels, the queue, and what people are told.

Here: the stages, each of which an asset of group monitoring runs alone, and their order. Not here: any figure
(`ml.evaluation`, `ml.drift`, `orchestration.slo`), what is launched (`orchestration.acting`).

Concept: every stage reads what the one before has written and doing it twice at one instant changes nothing, so a pass
that was killed is finished by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from orchestration.acting.worklist import acting_policy

if TYPE_CHECKING:
    import dagster as dg

    from ml.acting.queue import QueueState
    from ml.evaluation.estimate_ledger import LedgerUpdate
    from ml.evaluation.online import OnlineUpdate
    from orchestration.alerts.outbox import Synchronised
    from orchestration.alerts.store import Outbox
    from orchestration.drift import Watched
    from orchestration.resources import Assay
    from orchestration.slo.evaluation import Status

T = TypeVar("T")


@dataclass(frozen=True)
class MonitorReport:
    """What one pass found and did.

    Attributes:
        now: Market time of the pass.
        ledger: Sales entered.
        online: Errors of all collections.
        drift: Windows scored, and what stands.
        slos: Every service level.
        queue: What waits for a training.
        effects: Decisions whose effect could be measured for the first time.
        alerts: Incidents opened and resolved, by scope.
        seconds: Time by stage.
    """

    now: datetime
    ledger: LedgerUpdate
    online: OnlineUpdate
    drift: Watched
    slos: list[Status]
    queue: QueueState
    effects: int
    alerts: dict[str, Synchronised]
    seconds: dict[str, float] = field(default_factory=dict)


def monitor_pass(
    assay: Assay,
    instance: dg.DagsterInstance | None,
    outbox: Outbox,
    now: datetime,
    *,
    alerted_at: datetime | None = None,
) -> MonitorReport:
    """Do every stage once.

    Args:
        assay: The home.
        instance: Its runs; without one, service levels about runs are "no data" and ended runs keep what they did not
            train.
        outbox: Where alerts go.
        now: Market time: what became known from then on is not looked at.
        alerted_at: Clock of the outbox; wall-clock time when None.
    """
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        began = time.monotonic()
        result = work()
        seconds[stage] = round(time.monotonic() - began, 3)
        return result

    ledger = timed("ledger", lambda: enter_sales(assay, now))
    online = timed("online error", lambda: judge_errors(assay, now))
    drift = timed("drift", lambda: find_drift(assay, now))
    slos = timed("service levels", lambda: watch_promises(assay, instance, now))
    queue, effects = timed("queue", lambda: queue_work(assay, instance, now))
    alerts = timed("alerts", lambda: tell(assay, outbox, now, alerted_at))
    return MonitorReport(now, ledger, online, drift, slos, queue, effects, alerts, seconds)


def enter_sales(assay: Assay, now: datetime) -> LedgerUpdate:
    """New and corrected sales into `monitoring.estimate_ledger`."""
    from ml.evaluation.estimate_ledger import update_estimate_ledger

    with assay.lake.write("enter new sales into the ledger") as con:
        return update_estimate_ledger(con, now)


def judge_errors(assay: Assay, now: datetime) -> OnlineUpdate:
    """`monitoring.online_metrics` and `monitoring.mape_buckets`."""
    from ml.evaluation.online import update_online_metrics
    from ml.evaluation.online_buckets import update_mape_buckets

    with assay.lake.write("judge the errors of the newest sales") as con:
        update = update_online_metrics(con, now)
        update_mape_buckets(con, now)
        return update


def find_drift(assay: Assay, now: datetime) -> Watched:
    """`monitoring.drift_scores` and `monitoring.drift_status`, and pages about the worst."""
    from orchestration.drift import watch_drift

    return watch_drift(assay.lake, assay.settings.home_path / "reports" / "drift", now)


def watch_promises(assay: Assay, instance: dg.DagsterInstance | None, now: datetime) -> list[Status]:
    """`monitoring.slo_samples` and `monitoring.slo_status`."""
    from orchestration.slo.definitions import load_slos
    from orchestration.slo.watch import watch_slos

    return watch_slos(assay.lake, load_slos(), now, instance)


def queue_work(assay: Assay, instance: dg.DagsterInstance | None, now: datetime) -> tuple[QueueState, int]:
    """`ops.decision_effects` and `ops.retrain_queue`; collections that an ended run did not train wait again."""
    from ml.acting.effects import measure_effects
    from ml.acting.queue import launched_runs, refresh_queue, release

    policy = acting_policy(assay.settings)
    with assay.lake.read() as con:
        runs = launched_runs(con)
    ended = [run for run in runs if instance is not None and _has_ended(instance, run)]
    with assay.lake.write("queue what needs a training") as con:
        if ended:
            release(con, ended)
        effects = measure_effects(con, now, policy)
        return refresh_queue(con, now, policy), effects


def tell(
    assay: Assay, outbox: Outbox, now: datetime, alerted_at: datetime | None = None
) -> dict[str, Synchronised]:
    """Make the open incidents about models, their files, drift and service levels those that are true now."""
    from orchestration import drift
    from orchestration.acting import lost_files, notices
    from orchestration.alerts.outbox import sync_alerts
    from orchestration.alerts.store import wall_clock
    from orchestration.slo import watch
    from orchestration.slo.definitions import load_slos

    at = alerted_at or wall_clock()
    with assay.lake.read() as con:
        models = notices.model_alerts(con, now, acting_policy(assay.settings))
        promises = watch.slo_alerts(con, load_slos())
        drifted = drift.drift_alerts(con)
    lost = lost_files.read_lost_files(assay)
    return {
        drift.SCOPE: sync_alerts(outbox, drift.SCOPE, drifted, at),
        lost_files.SCOPE: lost_files.tell_lost_files(outbox, lost, at),
        notices.SCOPE: sync_alerts(outbox, notices.SCOPE, models, at),
        watch.SCOPE: sync_alerts(outbox, watch.SCOPE, promises, at),
    }


def _has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is over or not known any more: what it launched and did not train, it never will.

    Also one that succeeded: a few collections may fail in it.
    """
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished
